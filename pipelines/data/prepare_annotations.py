"""Conversion of a dataset's records to annotated images; unusable records are left out and reported."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from pipelines.data.dataset import Dataset, Finding, Problems, Progress
from pipelines.data.files import has_word
from pipelines.data.splits import assign_splits
from schemas.annotations import SPLITS, UNLABELED, AnnotatedImage, Record
from schemas.errors import ConfigurationError, InputError
from schemas.io.digests import digest_cached
from schemas.io.files import canonical_json

REPORT_EVERY = 500  # images
MAX_INVALID_FRACTION = 0.01


def annotate(
    dataset: Dataset,
    root: Path,
    progress: Progress,
    partition: str = "published",
    max_invalid_fraction: float = MAX_INVALID_FRACTION,
) -> tuple[list[AnnotatedImage], list[Finding]]:
    """Annotate the images of a dataset.

    Invalid captions, and images without a file or, unless they are unlabeled, without a caption, are left out. An
    image that cannot be read is kept, with width and height 0; feature extraction rejects it.

    Args:
        dataset: The dataset.
        root: Its directory.
        progress: Called with a fraction and a message.
        partition: See `pipelines.data.splits`.
        max_invalid_fraction: Largest tolerated fraction of invalid captions.

    Returns:
        The images in the dataset's order, and findings about captions and images that were left out or are odd.

    Raises:
        InputError: Two records have the same id, a split that training and evaluation need has no image, or there are
            too many invalid captions.
    """
    problems = Problems()
    records = read_records(dataset, root, partition, problems, max_invalid_fraction)
    if message := too_many_invalid(records, problems, max_invalid_fraction):
        raise InputError(message)
    images: list[AnnotatedImage] = []
    for number, record in enumerate(records, start=1):
        images.append(_with_size(record, root))
        if number % REPORT_EVERY == 0:
            progress(number / len(records), f"{number} of {len(records)} images checked")
    for split in SPLITS:
        if not any(image.split == split for image in images):
            raise InputError(f"{dataset.title} below {root} {describe_empty_split(split)}")
    return images, problems.findings


def read_records(
    dataset: Dataset, root: Path, partition: str, problems: Problems, max_invalid_fraction: float = 1.0
) -> list[Record]:
    """Read the usable records of a dataset, with their valid captions and splits.

    Args:
        dataset: The dataset.
        root: Its directory.
        partition: See `pipelines.data.splits`.
        problems: Receives findings.
        max_invalid_fraction: Largest tolerated fraction of invalid captions.

    Raises:
        InputError: Two records have the same id, there are none, or too many captions cannot be read; also the errors
            of the dataset and its partition.
    """
    records = list(dataset.records(root, problems))
    check_records(dataset, records, root, problems)
    if message := too_many_invalid(records, problems, max_invalid_fraction):  # before too few are left for the splits
        raise InputError(message)
    return keep_usable(assign_splits(dataset, records, root, partition, problems), root, problems)


def check_records(dataset: Dataset, records: Sequence[Record], root: Path, problems: Problems) -> None:
    """Check that ids are unique and that there are captions.

    Args:
        dataset: The dataset.
        records: Its records.
        root: Its directory, for messages.
        problems: Receives the errors.
    """
    seen: dict[str, str] = {}
    for record in records:
        if record.image_id in seen:
            problems.error(
                "repeated image ids",
                f"{dataset.title} has image {record.image_id} twice ({seen[record.image_id]} and {record.file}); "
                "remove or rename one of them.",
            )
        seen[record.image_id] = record.file
    if not records and not problems.of_level("invalid"):
        problems.error(
            "missing captions", f"{dataset.title} below {root} has captions files without a caption; add some."
        )


def keep_usable(records: Sequence[Record], root: Path, problems: Problems) -> list[Record]:
    """Select the records with a file and a valid caption.

    Args:
        records: Records with splits.
        root: Directory of the dataset.
        problems: Receives findings about all other records and captions.

    Returns:
        The selected records with their valid captions.
    """
    usable = []
    for record in records:
        valid = {}
        for number, caption in enumerate(record.captions):
            if has_word(caption):
                valid[number] = caption
            else:
                what = f"the caption {caption!r} of {record.file} has no word"
                problems.invalid("captions without a word", f"{record.place(number)}: {what}; write or remove it.")
        if not (root / record.file).is_file():
            problems.remark(
                "images without a file", f"Image {record.image_id} is left out: there is no file {record.file}."
            )
        elif not valid and record.split != UNLABELED:
            problems.remark("images without captions", f"Image {record.image_id} is left out: it has no caption.")
        else:
            places = tuple(record.place(number) for number in valid) if record.places else ()
            usable.append(replace(record, captions=tuple(valid.values()), places=places))
    return usable


def too_many_invalid(records: Sequence[Record], problems: Problems, limit: float) -> str:
    """Describe the invalid captions if they are too many.

    Args:
        records: Records with their valid captions.
        problems: Findings about invalid captions.
        limit: Largest tolerated fraction of invalid captions.

    Returns:
        One sentence, or an empty string.
    """
    invalid = problems.of_level("invalid")
    total = len(invalid) + sum(len(record.captions) for record in records)
    if len(invalid) <= limit * total:
        return ""
    return (
        f"{len(invalid)} of {total} captions are invalid, more than max_invalid_fraction = {limit:g} of "
        f"PrepareAnnotations allows; fix them or raise it. The first: {invalid[0].message}"
    )


def describe_empty_split(split: str) -> str:
    """Return the end of a sentence about a dataset without images in a split."""
    return f"has no image in the split {split!r}; check its files, or set `partition` of PrepareAnnotations."


def _with_size(record: Record, root: Path) -> AnnotatedImage:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of very large images: only the header is read
            with Image.open(root / record.file) as image:
                width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        width = height = 0
    return AnnotatedImage(
        record.image_id, record.file, record.split, width, height, record.captions, dict(record.extras)
    )


@dataclass(frozen=True)
class DatasetDigests:
    """Digests that artifacts of a dataset depend on, SHA-256 in hex.

    Attributes:
        images: Digest of the ids and contents of the usable images, in any order.
        annotations: Digest of the usable records, with splits and captions, and of the contents of their images.
    """

    images: str
    annotations: str


def digest_dataset(dataset: Dataset, root: Path, partition: str, cache: Path) -> DatasetDigests | None:
    """Return the digests of the input of `annotate` below `root`; None where it would fail.

    Files that are not used, such as a README or an image without captions, have no influence.

    Args:
        dataset: The dataset.
        root: Its directory.
        partition: See `pipelines.data.splits`.
        cache: File that stores digests of images, see `schemas.io.digests`.
    """
    try:
        records = read_records(dataset, root, partition, Problems())
    except (InputError, ConfigurationError):
        return None
    found = digest_cached([root / record.file for record in records], cache)
    contents = [found[root / record.file] for record in records]
    images = sorted((record.image_id, content) for record, content in zip(records, contents, strict=True))
    described = [
        (record.image_id, record.file, record.split, record.captions, record.extras, content)
        for record, content in zip(records, contents, strict=True)
    ]
    return DatasetDigests(
        *(hashlib.sha256(canonical_json(each).encode("utf-8", "replace")).hexdigest() for each in (images, described))
    )
