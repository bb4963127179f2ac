"""The report: one HTML file that shows what was run, what came out, and how it compares with the published numbers."""
