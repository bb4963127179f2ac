"""Comparison of runs: scores and parameters that differ."""
