"""Stages of image features."""
