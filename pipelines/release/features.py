"""Feature files of a release, one per split, with a layout that NumPy alone can map."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from schemas.features import FeatureFile, create_features
from schemas.interop.features import fit_dtype

BLOCK_ROWS = 4096


def split_blocks(source: FeatureFile, image_ids: Sequence[str], dtype: str) -> Iterator[NDArray[np.floating]]:
    """Read the features of images in blocks.

    Args:
        source: The feature artifact.
        image_ids: Images in the order of their rows.
        dtype: `float16` or `float32`.

    Yields:
        Rows of shape (n, D) with n <= `BLOCK_ROWS`.

    Raises:
        InputError: A feature overflows `dtype`.
    """
    for start in range(0, len(image_ids), BLOCK_ROWS):
        yield fit_dtype(source.read(image_ids[start : start + BLOCK_ROWS]), dtype, str(source.path))


def write_split(path: Path, source: FeatureFile, image_ids: Sequence[str], dtype: str) -> None:
    """Write the rows of those images that have features, in the format of the feature artifact.

    Args:
        path: The HDF5 file.
        source: The feature artifact.
        image_ids: Images of the split, in the order of their rows.
        dtype: `float16` or `float32`.
    """
    kept = [image_id for image_id in image_ids if image_id in source]
    with create_features(path, kept, source.dimension, dtype, source.description) as dataset:
        start = 0
        for block in split_blocks(source, kept, dtype):
            dataset[start : start + len(block)] = block
            start += len(block)


def describe_layout(path: Path) -> dict[str, dict[str, Any]]:
    """Return dtype, shape and offset in bytes of both arrays, for `numpy.memmap`."""
    with h5py.File(path) as file:
        return {name: _layout(file[name]) for name in ("features", "image_ids")}


def _layout(dataset: h5py.Dataset) -> dict[str, Any]:
    dtype = f"S{dataset.dtype.itemsize}" if dataset.dtype.kind == "S" else dataset.dtype.str
    # HDF5 allocates no space for an array without rows.
    return {"dtype": dtype, "shape": list(dataset.shape), "offset": dataset.id.get_offset() or 0}
