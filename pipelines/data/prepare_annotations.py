"""From a corpus's records to annotated images: sizes looked up, what cannot be used described and left out."""

import warnings
from dataclasses import replace
from pathlib import Path

from PIL import Image

from pipelines.data.dataset import Dataset, Problems, Progress, Record
from pipelines.data.files import has_word
from pipelines.data.splits import assign_splits
from schemas.annotations import SPLITS, UNLABELED, AnnotatedImage
from schemas.errors import InputError

REPORT_EVERY = 500  # images


def annotate(
    corpus: Dataset, root: Path, progress: Progress, partition: str = "published"
) -> tuple[list[AnnotatedImage], list[str]]:
    """The corpus's images in its order, and one sentence for each problem met.

    Captions without a word (nothing but blanks and full stops), and images without a file or, unless they are
    unlabeled, without a caption, are left out, with a sentence each. An image that is there but cannot be read stays,
    with width and height 0: the feature stage says what is wrong with it. `partition`: see `pipelines.data.splits`.

    Raises:
        InputError: two records have the same id, or a split that training and evaluation need has no image.
    """
    problems = Problems()
    images: list[AnnotatedImage] = []
    records = read_records(corpus, root, partition, problems)
    for number, record in enumerate(records, start=1):
        captions = tuple(caption for caption in record.captions if has_word(caption))
        if len(captions) < len(record.captions):
            lost = len(record.captions) - len(captions)
            problems.append(f"Image {record.image_id} has {lost} captions without a word; they are left out.")
        if not (root / record.file).is_file():
            problems.append(f"Image {record.image_id} is left out: there is no file {record.file}.")
        elif not captions and record.split != UNLABELED:
            problems.append(f"Image {record.image_id} is left out: it has no caption.")
        else:
            images.append(_with_size(replace(record, captions=captions), root))
        if number % REPORT_EVERY == 0:
            progress(number / len(records), f"{number} of {len(records)} images looked at")
    for split in SPLITS:
        if not any(image.split == split for image in images):
            raise InputError(
                f"{corpus.title} below {root} has no image in the split {split!r}; check its files, or set `partition` "
                "of PrepareAnnotations."
            )
    return images, problems


def read_records(corpus: Dataset, root: Path, partition: str, problems: Problems) -> list[Record]:
    """The corpus's records, each with its split; raises InputError if two have the same id."""
    records = list(corpus.records(root, problems))
    seen: dict[str, str] = {}
    for record in records:
        if record.image_id in seen:
            raise InputError(
                f"{corpus.title} has image {record.image_id} twice ({seen[record.image_id]} and {record.file}); "
                "remove or rename one of them."
            )
        seen[record.image_id] = record.file
    return assign_splits(corpus, records, root, partition, problems)


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
