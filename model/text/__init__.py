"""Tokenization and n-grams."""
