"""Features made elsewhere, as our artifact: the rows that the corpus needs, in its order."""

import hashlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from schemas.errors import InputError
from schemas.features import FeatureDescription, Reject, create_features
from schemas.files import digest_file
from schemas.interop import read_feature_file


def import_features(
    source: Path,
    image_ids: Sequence[str],
    path: Path,
    *,
    kind: str,
    dtype: str,
    dataset: str,
    strip_suffix: str,
    allow_missing: bool,
) -> list[Reject]:
    """Writes the rows of `image_ids`, in this order, from `source` to `path`; returns the images without a row.

    `strip_suffix` is taken off the ids of `source` that end in it.

    Raises:
        InputError: the source cannot be read, or lacks images while `allow_missing` is off; names some of them.
    """
    ids, blocks = read_feature_file(source)
    available = {image_id.removesuffix(strip_suffix) for image_id in ids}
    missing = [image_id for image_id in image_ids if image_id not in available]
    if missing and (not allow_missing or len(missing) == len(image_ids)):
        raise InputError(
            f"{source} has no features of {len(missing)} of {len(image_ids)} images, such as {', '.join(missing[:5])}; "
            f"its ids look like {ids[0]!r}: check strip_suffix, or set allow_missing."
        )
    kept = [image_id for image_id in image_ids if image_id in available]
    place = {image_id: row for row, image_id in enumerate(kept)}
    description = FeatureDescription(kind, "unknown (imported)", _digest(source), dataset)
    first = next(blocks)
    with create_features(path, kept, first.shape[1], dtype, description) as rows:
        start = 0
        for block in chain([first], blocks):
            names = (image_id.removesuffix(strip_suffix) for image_id in ids[start : start + len(block)])
            # HDF5 wants rising row numbers.
            pairs = sorted((place[name], row) for row, name in enumerate(names) if name in place)
            if pairs:
                targets, sources = (list(side) for side in zip(*pairs, strict=True))
                rows[targets] = _fit(block[sources], dtype, source)
            start += len(block)
    return [Reject(image_id, "import", "the imported file has no features of it") for image_id in missing]


def _fit(block: np.ndarray, dtype: str, source: Path) -> np.ndarray:
    limit = float(np.finfo(dtype).max)
    if np.abs(block).max(initial=0.0) > limit:
        raise InputError(f"{source} holds numbers beyond {limit:g}, the largest {dtype}; set dtype to float32.")
    return block.astype(dtype)


def _digest(source: Path) -> str:
    """SHA-256 of a file, or over the digests of a folder's files by name."""
    if source.is_file():
        return digest_file(source)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    return hashlib.sha256("".join(digest_file(path) for path in files).encode()).hexdigest()
