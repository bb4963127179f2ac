"""Contracts of artifacts: content, reading, writing and validation."""

__version__ = "0.2.0"
