"""Stages of evaluation."""
