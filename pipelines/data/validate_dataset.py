"""A corpus looked over before it is used: what is wrong with it, with file and line, and what it is like."""

import os
import statistics
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from PIL import Image

from model.backbones.images import decode_image
from model.text.tokenizers import TOKENIZERS
from pipelines.data.dataset import Dataset, Problems, Progress, Record
from pipelines.data.files import has_word
from pipelines.data.splits import assign_splits, image_order
from schemas.annotations import EVERY_SPLIT, SPLITS, UNLABELED
from schemas.errors import ConfigurationError, InputError

HASH_SIDE = 8  # bits of a hash: 64
MAX_DISTANCE = 4  # bits in which near-duplicates may differ
BLOCK_ROWS = 1024


def image_hash(image: Image.Image) -> np.ndarray:
    """The perceptual hash (imagehash's phash) of an image: bool (64,)."""
    return np.asarray(imagehash.phash(image, HASH_SIDE).hash).ravel()


def near_duplicates(hashes: np.ndarray, splits: Sequence[str]) -> list[tuple[int, int, int]]:
    """Pairs (row, other row, bits in which they differ) of images that are in different splits, most alike first.

    hashes: bool (N, 64); splits: N names.
    """
    # As signs, the product of two hashes is the number of equal bits less that of others: all pairs by matrix products.
    signs = np.where(hashes, np.float32(1), np.float32(-1))
    of_split = {split: np.flatnonzero(np.array(splits) == split) for split in dict.fromkeys(splits)}
    names = list(of_split)
    pairs = []
    for number, split in enumerate(names):
        for other in names[number + 1 :]:
            columns = of_split[other]
            for start in range(0, len(of_split[split]), BLOCK_ROWS):
                rows = of_split[split][start : start + BLOCK_ROWS]
                distances = (signs.shape[1] - signs[rows] @ signs[columns].T) / 2
                for row, column in np.argwhere(distances <= MAX_DISTANCE):
                    pair = sorted((int(rows[row]), int(columns[column])))
                    pairs.append((pair[0], pair[1], int(distances[row, column])))
    return sorted(pairs, key=lambda pair: (pair[2], pair))


LONG_CAPTION = 29  # words; longer captions are cut in training
LISTED_PAIRS = 50
THRESHOLDS = (1, 2, 3, 5, 10)
COMMON_WORDS = 20


@dataclass
class Validation:
    """What was found: `errors` must be mended, `remarks` say what is left out or odd, `facts` are lines to print.

    `partition` is the one that was looked at.
    """

    partition: str
    errors: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)


class CollectedProblems(Problems):
    """Errors are gathered, so that all of them can be shown."""

    def __init__(self, errors: list[str]):
        super().__init__()
        self._errors = errors

    def error(self, sentence: str) -> None:
        """Gathers it."""
        self._errors.append(sentence)


def validate(
    corpus: Dataset, root: Path, partition: str, tokenizer: str, max_images: int, progress: Progress
) -> Validation:
    """Reads captions and images below `root` as the pipeline does.

    An empty `partition` stands for the published one, or, where there is none, for a draw of a tenth to validate and a
    tenth to test.
    At most `max_images` images are opened (0: all), those to validate and to test first; near-duplicates are looked for
    among them.
    """
    found = Validation(partition)
    problems = CollectedProblems(found.errors)
    try:
        records = list(corpus.records(root, problems))
        twice = [image_id for image_id, count in Counter(record.image_id for record in records).items() if count > 1]
        found.errors += [f"Image {image_id} is there twice; remove or rename one of them." for image_id in twice]
        if not twice:
            found.partition = partition or _usual_partition(records)
            records = assign_splits(corpus, records, root, found.partition, problems)
    except (InputError, ConfigurationError) as error:
        found.errors.append(str(error))
        records = []
    found.remarks += problems
    if records:
        _look_at_captions(records, tokenizer, found)
        _look_at_images(records, root, max_images, found, progress)
    return found


def _usual_partition(records: Sequence[Record]) -> str:
    tenth = max(1, len(records) // 10)
    return "published" if all(record.split for record in records) else f"random:{tenth}:{tenth}:0"


def _look_at_captions(records: Sequence[Record], tokenizer: str, found: Validation) -> None:
    by_split = {split: [record for record in records if record.split == split] for split in EVERY_SPLIT}
    for split in SPLITS:
        if not by_split[split]:
            found.errors.append(f"There is no image in the split {split!r}; choose another `partition`.")
    for record in records:
        if not record.captions and record.split != UNLABELED:
            found.remarks.append(f"Image {record.image_id} has no caption and is left out.")
        for number, caption in enumerate(record.captions):
            if not has_word(caption):
                found.remarks.append(f"Caption {number} of image {record.image_id}, {caption!r}, is left out: no word.")
        repeated = [caption for caption, count in Counter(record.captions).items() if count > 1]
        if repeated:
            found.remarks.append(f"Image {record.image_id} has the caption {repeated[0]!r} more than once.")

    cut = TOKENIZERS[tokenizer]
    words = {
        split: [cut(caption) for record in of_split for caption in record.captions if has_word(caption)]
        for split, of_split in by_split.items()
    }
    for split, of_split in by_split.items():
        if of_split:
            found.facts.append(f"{split}: {len(of_split)} images, {len(words[split])} captions")
    every = [caption for captions in words.values() for caption in captions]
    if not every:
        return
    lengths = [len(caption) for caption in every]
    captions = [len(record.captions) for record in records if record.captions]
    long = sum(length > LONG_CAPTION for length in lengths)
    found.facts += [
        f"captions an image: {_spread(captions)}",
        f"words a caption ({tokenizer}): {_spread(lengths)}; {long} of more than {LONG_CAPTION} are cut in training",
    ]
    training = Counter(word for caption in words["train"] for word in caption)
    others = Counter(word for split in SPLITS[1:] for caption in words[split] for word in caption)
    for threshold in THRESHOLDS:
        known = {word for word, count in training.items() if count >= threshold}
        unknown = sum(count for word, count in others.items() if word not in known)
        share = f", {unknown / others.total():.2%} of the words of val and test are not among them" if others else ""
        found.facts.append(f"words seen in training at least {threshold} times: {len(known)}{share}")
    common = Counter(word for caption in every for word in caption).most_common(COMMON_WORDS)
    found.facts.append(f"most common words: {' '.join(word for word, _ in common)}")


def _look_at_images(
    records: Sequence[Record], root: Path, max_images: int, found: Validation, progress: Progress
) -> None:
    small_splits_first = sorted(records, key=lambda record: (record.split == "train", image_order(record.image_id, 0)))
    chosen = small_splits_first[: max_images or None]

    def look(record: Record) -> tuple[tuple[int, int], np.ndarray] | str:
        try:
            image = decode_image((root / record.file).read_bytes())
            return image.size, image_hash(image)
        except (InputError, OSError) as error:
            return f"{root / record.file}: {error}; replace the file or remove its captions."

    sizes, hashes, splits, files = [], [], [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (record, seen) in enumerate(zip(chosen, pool.map(look, chosen), strict=True), start=1):
            progress(number / len(chosen), f"{number} of {len(chosen)} images opened")
            if isinstance(seen, str):
                found.errors.append(seen)
                continue
            sizes.append(seen[0])
            hashes.append(seen[1])
            splits.append(record.split)
            files.append(record.file)
    if len(chosen) < len(records):
        found.facts.append(f"{len(chosen)} of {len(records)} images were opened; --max-images 0 opens all")
    if not sizes:
        return
    widths, heights = zip(*sizes, strict=True)
    found.facts.append(f"width: {_spread(widths)} pixels; height: {_spread(heights)} pixels")
    pairs = near_duplicates(np.stack(hashes), splits)
    for row, other, distance in pairs[:LISTED_PAIRS]:
        found.remarks.append(
            f"{files[row]} ({splits[row]}) and {files[other]} ({splits[other]}) look alike: {distance} of 64 bits of "
            "their perceptual hashes differ."
        )
    found.facts.append(f"pairs of images of two splits that look alike: {len(pairs)}")


def _spread(values: Sequence[Any]) -> str:
    return f"{min(values)} to {max(values)}, mean {statistics.fmean(values):.1f}, median {statistics.median(values):g}"
