"""Image features written in other people's formats; `schemas.interop` reads them back.

Blocks are arrays (n, D) of one dtype, in the order of the ids, as `FeatureFile.blocks` yields them. Nothing is written
but by `atomic_path`: a file is whole or absent.
"""

import pickle
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy_format

from schemas.errors import InputError
from schemas.files import atomic_path

_PICKLE_PROTOCOL = 2  # the newest that Python 2 reads


def write_dictionary(path: Path, ids: Sequence[str], blocks: Iterable[np.ndarray]) -> None:
    """Writes m-RNN's `VGG_feat_*_dct_*.npy`: id -> vector (D,); the whole is in memory while it is written.

    `np.load(path, allow_pickle=True).item()` opens it. Ids that are whole numbers become numbers, as the authors'
    scripts look them up.
    """
    vectors = dict(zip(map(numbered, ids), _rows(blocks), strict=True))
    write_pickled_array(path, np.array(vectors, dtype=object))


def write_pickled_array(path: Path, array: np.ndarray) -> None:
    """Writes an object array as `.npy`, for old and new NumPy and for Python 2."""
    data = pickle.dumps(array, protocol=_PICKLE_PROTOCOL)
    # The name of NumPy 2 is unknown to NumPy 1; all know the old one. It stands in full where it is first used only.
    new_name, old_name = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
    cut = data.find(new_name)
    head, rest = (data[:cut] + old_name, cut + len(new_name)) if cut >= 0 else (b"", 0)
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        npy_format.write_array_header_1_0(stream, npy_format.header_data_from_array_1_0(array))
        stream.write(head)
        stream.write(memoryview(data)[rest:])


def write_hdf5_by_id(path: Path, ids: Sequence[str], blocks: Iterable[np.ndarray]) -> None:
    """Writes an HDF5 file with a dataset (D,) an image, named by its id.

    Raises:
        InputError: an id cannot be a dataset's name.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for image_id, row in zip(ids, _rows(blocks), strict=True):
            if image_id in ("", ".") or "/" in image_id or "\0" in image_id:
                raise InputError(f"{path}: the image id {image_id!r} cannot name an HDF5 dataset; use another format.")
            file.create_dataset(image_id, data=row)


def write_npy(path: Path, ids: Sequence[str], blocks: Iterable[np.ndarray]) -> None:
    """Writes the matrix (N, D) as `path`, a `.npy` file, and its ids beside it as `.parquet`, column `image_id`."""
    rows = iter(blocks)
    first = next(rows)
    with atomic_path(path) as temporary:
        matrix = npy_format.open_memmap(temporary, "w+", first.dtype, (len(ids), first.shape[1]))
        start = 0
        for block in (first, *rows):
            matrix[start : start + len(block)] = block
            start += len(block)
        matrix.flush()
        del matrix
    with atomic_path(path.with_suffix(".parquet")) as temporary:
        pq.write_table(pa.table({"image_id": pa.array(list(ids), pa.string())}), temporary)


def numbered(image_id: str) -> int | str:
    """An id as the number whose decimal digits it is, such as COCO's, or else as it is."""
    return int(image_id) if image_id.isdecimal() and str(int(image_id)) == image_id else image_id


def _rows(blocks: Iterable[np.ndarray]) -> Iterator[Any]:
    for block in blocks:
        yield from block
