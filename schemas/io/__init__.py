"""Files on disk: atomic writes, checksums, JSON and HDF5."""
