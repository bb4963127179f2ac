"""Training on artifacts."""
