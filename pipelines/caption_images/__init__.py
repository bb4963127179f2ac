"""Captions of arbitrary images by a trained model."""
