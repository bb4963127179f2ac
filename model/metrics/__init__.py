"""Metrics of captions and of retrieval."""
