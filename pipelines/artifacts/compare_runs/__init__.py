"""Runs side by side: what differs between them, and what they scored."""
