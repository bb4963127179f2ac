"""The performance suite: ratios within one run, of ours against the plain algorithm or the bare work."""
