"""Image features on Beam."""
