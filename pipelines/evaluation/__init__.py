"""Scores of captions, perplexity and retrieval."""
