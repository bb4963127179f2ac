"""Stages of captions."""
