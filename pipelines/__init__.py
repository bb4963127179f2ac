"""Data flow: downloads, corpora, feature extraction on Beam, the report and the release. No Luigi."""
