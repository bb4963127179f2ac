"""Releases: directories with features, model and captions that others can use without this project."""
