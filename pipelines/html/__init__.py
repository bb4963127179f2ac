"""Building blocks of the self-contained HTML pages: template, figures, thumbnails and CSV tables."""
