"""Import of features from other programs: the rows of the dataset's images, in their order."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

from pipelines import storage
from pipelines.data.files import ImageIndex
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
    """Import the features of a dataset's images.

    Args:
        source: File or directory of features, see `schemas.interop.features.read_feature_file`.
        image_ids: Ids of the dataset's images, in the order of the rows to write.
        path: Features file to write.
        kind: Feature kind, such as `vgg16/fc2`.
        dtype: `float16` or `float32`.
        dataset: Name of the dataset.
        strip_suffix: Suffix to remove from ids of the source.
        allow_missing: Whether images without features are rejected instead of raising an error.
        progress: Called with a fraction and a message.

    Returns:
        The images without features.

    Raises:
        InputError: The source cannot be read, contains an image twice, or lacks images although `allow_missing` is off;
            names some of them.
    """
    ids, blocks = read_feature_file(source)
    names = _without_suffix(source, ids, strip_suffix)
    name_of = _match(source, names, image_ids)
    missing = [image_id for image_id in image_ids if image_id not in name_of]
    if missing and (not allow_missing or len(missing) == len(image_ids)):
        raise InputError(
            f"{source} has no features of {len(missing)} of {len(image_ids)} images, such as {', '.join(missing[:5])}; "
            f"its ids look like {ids[0]!r}: check strip_suffix, or set allow_missing."
        )
    kept = [image_id for image_id in image_ids if image_id in name_of]
    place = {name_of[image_id]: row for row, image_id in enumerate(kept)}
    description = FeatureDescription(kind, "unknown (imported)", digest_source(source), dataset)
    first = next(blocks)
    with create_features(path, kept, first.shape[1], dtype, description) as rows:
        start = 0
        for block in chain([first], blocks):
            # HDF5 requires increasing row numbers.
            pairs = sorted(
                (place[name], row) for row, name in enumerate(names[start : start + len(block)]) if name in place
            )
            if pairs:
                targets, sources = (list(side) for side in zip(*pairs, strict=True))
                rows[targets] = fit_dtype(block[sources], dtype, str(source))
            start += len(block)
            progress(start / len(names), f"{start} of {len(names)} rows read")
    return [Reject(image_id, "import", "the imported file has no features of it") for image_id in missing]


def download_features(address: str, directory: Path) -> Path:
    """Download a feature file, and the `.parquet` with the ids of a `.npy` matrix, from a store.

    Returns:
        The local file.

    Raises:
        StorageError: The object does not exist or cannot be read.
        ConfigurationError: No file system supports the URL.
    """
    target = directory / PurePosixPath(address).name
    storage.download(address, target)
    ids = f"{address.removesuffix('.npy')}.parquet"
    if target.suffix == ".npy" and storage.exists(ids):
        storage.download(ids, target.with_suffix(".parquet"))
    return target


def _match(source: Path, names: Sequence[str], image_ids: Sequence[str]) -> dict[str, str]:
    """Map image ids to names in the source: equal ones, or else as `ImageIndex` does, such as `/data/ID.jpg`.

    Raises:
        InputError: An id matches several names, or two ids match one name.
    """
    known = set(names)
    name_of = {image_id: image_id for image_id in image_ids if image_id in known}
    index = ImageIndex(names)
    for image_id in image_ids:
        if image_id in name_of:
            continue
        found = index.find_id(image_id)
        if len(found) > 1:
            raise InputError(
                f"{source} has {found[0]!r} and {found[1]!r}, which both match image {image_id}; remove one of them."
            )
        if found:
            name_of[image_id] = found[0]
    image_of: dict[str, str] = {}
    for image_id, name in name_of.items():
        if name in image_of:
            raise InputError(
                f"{source} has {name!r}, which matches images {image_of[name]} and {image_id}; use longer ids."
            )
        image_of[name] = image_id
    return name_of


def _without_suffix(source: Path, ids: Sequence[str], suffix: str) -> list[str]:
    """Return the ids without `suffix`; they must remain distinct."""
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
