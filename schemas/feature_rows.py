"""Rows of a feature artifact that stay on disk until they are asked for."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import ArtifactError
from schemas.features import FeatureFile


class FeatureRows:
    """The feature vectors of some images: `rows[index]` reads those of an index array or a slice, in the file's dtype.

    It has the `shape`, the `dtype` and the length of the matrix (len(image_ids), D) that it stands for. A row is read
    from its place in the file, past HDF5, which would read its whole chunk; what is used often stays in the operating
    system's cache as long as there is memory for it.
    """

    def __init__(self, path: Path, image_ids: Sequence[str]):
        """Keeps only the rows' places; the file is read against its checksums, once a process.

        Raises:
            ArtifactError: the file is missing, damaged or compressed, or an image has no row.
        """
        self.path = path
        with FeatureFile(path) as file:
            rows = file.row_numbers(image_ids)
            _verify(file)
            dataset = file.dataset
            if dataset.compression or dataset.shuffle or dataset.scaleoffset:
                raise ArtifactError(f"{path} is compressed; features must be stored as they are, make them anew.")
            self.dtype, self.shape = dataset.dtype, (len(rows), file.dimension)
            self._row_bytes = file.dimension * self.dtype.itemsize
            if dataset.chunks:
                chunk_rows, first_bytes = dataset.chunks[0], np.zeros(dataset.id.get_num_chunks(), np.int64)

                def note_place(chunk: Any) -> None:
                    first_bytes[chunk.chunk_offset[0] // chunk_rows] = chunk.byte_offset

                dataset.id.chunk_iter(note_place)  # in one go: asking for chunk after chunk takes squared time
                self._places = first_bytes[rows // chunk_rows] + rows % chunk_rows * self._row_bytes
            else:  # a release's rows are in no chunks
                self._places = (dataset.id.get_offset() or 0) + rows * self._row_bytes
        self._file = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray:
        places = self._places[index]
        data = b"".join(os.pread(self._file, self._row_bytes, place) for place in places.tolist())
        if len(data) != len(places) * self._row_bytes:
            raise ArtifactError(f"{self.path} was changed while it was read; run its stage again.")
        return np.frombuffer(data, self.dtype).reshape(len(places), self.shape[1])


_BLOCK_ROWS = 256  # so few that a block's memory is used again
_verified: set[tuple[str, int, int]] = set()  # files by path, size and time of change in ns


def _verify(file: FeatureFile) -> None:
    """Reads the whole file, whose checksums are compared; the splits of a corpus lie in one."""
    status = file.path.stat()
    identity = (str(file.path.resolve()), status.st_size, status.st_mtime_ns)
    if identity not in _verified:
        for _ in file.blocks(_BLOCK_ROWS):
            pass
        _verified.add(identity)
