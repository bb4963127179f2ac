"""Stage of the report."""
