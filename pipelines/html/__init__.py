"""HTML pages that need nothing but themselves, in the style of the report."""
