"""Stages of training."""
