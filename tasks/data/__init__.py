"""Stages of the data."""
