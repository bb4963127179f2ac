"""Base classes and parameters of stages."""
