"""Data-parallel work on Apache Beam."""
