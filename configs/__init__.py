"""Packaged configuration files: defaults, and one file per experiment."""
