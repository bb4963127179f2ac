"""Inspection of the artifacts of a data directory."""
