"""Datasets: download, annotations, tokenization and validation."""
