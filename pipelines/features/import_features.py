"""Features made elsewhere, as our artifact: the rows that the corpus needs, in its order."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from schemas.errors import InputError
from schemas.features import FeatureDescription, Reject, create_features
from schemas.interop.features import fit_dtype, read_feature_file
from schemas.io.files import digest_source


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
    progress: Callable[[float, str], None] = lambda fraction, message: None,
) -> list[Reject]:
    """Writes the rows of `image_ids`, in this order, from `source` to `path`; returns the images without a row.

    `strip_suffix` is taken off the ids of `source` that end in it.

    Raises:
        InputError: the source cannot be read, has an image twice, or lacks images while `allow_missing` is off; names
            some of them.
    """
    ids, blocks = read_feature_file(source)
    names = _without_suffix(source, ids, strip_suffix)
    available = set(names)
    missing = [image_id for image_id in image_ids if image_id not in available]
    if missing and (not allow_missing or len(missing) == len(image_ids)):
        raise InputError(
            f"{source} has no features of {len(missing)} of {len(image_ids)} images, such as {', '.join(missing[:5])}; "
            f"its ids look like {ids[0]!r}: check strip_suffix, or set allow_missing."
        )
    kept = [image_id for image_id in image_ids if image_id in available]
    place = {image_id: row for row, image_id in enumerate(kept)}
    description = FeatureDescription(kind, "unknown (imported)", digest_source(source), dataset)
    first = next(blocks)
    with create_features(path, kept, first.shape[1], dtype, description) as rows:
        start = 0
        for block in chain([first], blocks):
            # HDF5 wants rising row numbers.
            pairs = sorted(
                (place[name], row) for row, name in enumerate(names[start : start + len(block)]) if name in place
            )
            if pairs:
                targets, sources = (list(side) for side in zip(*pairs, strict=True))
                rows[targets] = fit_dtype(block[sources], dtype, str(source))
            start += len(block)
            progress(start / len(names), f"{start} of {len(names)} rows read")
    return [Reject(image_id, "import", "the imported file has no features of it") for image_id in missing]


def _without_suffix(source: Path, ids: Sequence[str], suffix: str) -> list[str]:
    """The ids without `suffix`, which must still be different."""
    original: dict[str, str] = {}
    for image_id in ids:
        name = image_id.removesuffix(suffix)
        if name in original:
            raise InputError(
                f"{source} has {original[name]!r} and {image_id!r}, which are both image {name!r} without the suffix "
                f"{suffix!r}; remove one of them, or set another strip_suffix."
            )
        original[name] = image_id
    return list(original)
