"""From a corpus's records to annotated images: sizes looked up, what cannot be used described and left out."""

import warnings
from pathlib import Path

from PIL import Image

from pipelines.datasets.base import Corpus, Progress, Record
from schemas.annotations import SPLITS, AnnotatedImage
from schemas.errors import InputError

REPORT_EVERY = 500  # images


def annotate(corpus: Corpus, root: Path, progress: Progress) -> tuple[list[AnnotatedImage], list[str]]:
    """The corpus's images in its order, and one sentence for each problem met.

    Records without an image file or without a caption are left out, with a sentence each. An image that is there but
    cannot be read stays, with width and height 0: the feature stage says what is wrong with it.

    Raises:
        InputError: two records have the same id, or a split that training and evaluation need has no image.
    """
    problems: list[str] = []
    images: list[AnnotatedImage] = []
    seen: set[str] = set()
    for number, record in enumerate(corpus.records(root, problems), start=1):
        if record.image_id in seen:
            raise InputError(f"{corpus.title} has image {record.image_id} twice; remove one of them.")
        seen.add(record.image_id)
        if not (root / record.file).is_file():
            problems.append(f"Image {record.image_id} is left out: there is no file {record.file}.")
        elif not record.captions:
            problems.append(f"Image {record.image_id} is left out: it has no caption.")
        else:
            images.append(_with_size(record, root))
        if number % REPORT_EVERY == 0:
            progress(0.0, f"{number} images looked at")
    for split in SPLITS:
        if not any(image.split == split for image in images):
            raise InputError(f"{corpus.title} below {root} has no image in the split {split!r}; check its files.")
    return images, problems


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
