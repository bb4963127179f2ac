"""The report of a run: one HTML file with configuration, scores, captions and the published results."""
