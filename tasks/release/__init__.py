"""Stage of the release."""
