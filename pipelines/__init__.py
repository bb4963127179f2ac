"""Data flow: downloads, datasets, feature extraction on Beam, the report and the release. No Luigi."""
