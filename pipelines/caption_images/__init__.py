"""Captions of anybody's pictures by a trained model."""
