"""Validation of a dataset before it is used: findings with file and line, limits for small data, statistics."""

import os
import shlex
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.backbones.images import decode_image
from model.text.tokenizers import TOKENIZERS
from pipelines.data.dataset import Dataset, Finding, Problems, Progress
from pipelines.data.prepare_annotations import (
    MAX_INVALID_FRACTION,
    check_records,
    describe_empty_split,
    keep_usable,
    too_many_invalid,
)
from pipelines.data.splits import assign_splits, image_order, suggest_partition
from schemas.annotations import EVERY_SPLIT, SPLITS, Record
from schemas.errors import ConfigurationError, InputError

HASH_SIDE = 8  # bits of a hash: 64
MAX_DISTANCE = 4  # bits in which near-duplicates may differ
BLOCK_ROWS = 1024


def image_hash(image: Image.Image) -> NDArray[np.bool_]:
    """Return the perceptual hash (imagehash's phash) of an image, bool (64,)."""
    return np.asarray(imagehash.phash(image, HASH_SIDE).hash).ravel()


def near_duplicates(hashes: NDArray[np.bool_], splits: Sequence[str]) -> list[tuple[int, int, int]]:
    """Find near-duplicates among images of different splits.

    Args:
        hashes: bool (N, 64).
        splits: N names.

    Returns:
        Pairs (row, other row, number of bits that differ), most similar first.
    """
    # With hashes as signs, a matrix product counts the equal bits less the others of all pairs.
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


LONG_CAPTION = 29  # tokens; training truncates longer captions
EXAMPLES = 3  # of each kind of findings
THRESHOLDS = (1, 2, 3, 5, 10)
COMMON_WORDS = 20


@dataclass(frozen=True)
class Demands:
    """Requirements of the pipeline for a dataset.

    Attributes:
        neighbors: Training images whose captions are references in reranking (`k`).
        similarities: Largest similarities that are summed in reranking (`m`).
        batch_size: Captions per training step.
        min_count: Occurrences in training captions that make a token known.
        max_invalid_fraction: Largest tolerated fraction of invalid captions.
        max_reject_fraction: Largest tolerated fraction of unreadable images.
    """

    neighbors: int = 60
    similarities: int = 125
    batch_size: int = 64
    min_count: int = 5
    max_invalid_fraction: float = MAX_INVALID_FRACTION
    max_reject_fraction: float = 0.01


@dataclass(frozen=True)
class FindingGroup:
    """All findings of one level and kind.

    Attributes:
        level: See `Finding`.
        kind: See `Finding`.
        messages: One sentence per finding, in order.
    """

    level: str
    kind: str
    messages: list[str]


@dataclass
class ValidationReport:
    """Result of a validation.

    Attributes:
        dataset: Name of the dataset.
        root: Its folder.
        partition: The partition that was validated.
        findings: Errors, invalid captions and remarks.
        limits: Parameters that the pipeline will limit because there is little data, one sentence each.
        facts: Statistics, one line each.
    """

    dataset: str
    root: Path
    partition: str
    findings: list[Finding] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """Findings that must be fixed before the pipeline can use the dataset."""
        return [finding.message for finding in self.findings if finding.level == "error"]

    @property
    def remarks(self) -> list[str]:
        """Captions and images that are left out or odd."""
        return [finding.message for finding in self.findings if finding.level != "error"]

    def groups(self) -> list[FindingGroup]:
        """Return the findings by level and kind: errors first, then invalid captions, then remarks."""
        gathered: dict[tuple[str, str], list[str]] = {}
        for finding in self.findings:
            gathered.setdefault((finding.level, finding.kind), []).append(finding.message)
        groups = [FindingGroup(level, kind, messages) for (level, kind), messages in gathered.items()]
        return sorted(groups, key=lambda group: ("error", "invalid", "remark").index(group.level))

    def lines(self, examples: int | None = EXAMPLES) -> Iterator[str]:
        """Yield the report as text, with `examples` findings of each kind (None = all)."""
        for group in self.groups():
            titles = {"error": "error", "invalid": "left out", "remark": "remark"}
            yield f"{titles[group.level]}: {group.kind}: {len(group.messages)}"
            yield from (f"  {message}" for message in group.messages[:examples])
            if examples is not None and len(group.messages) > examples:
                yield f"  ... and {len(group.messages) - examples} more"
        yield from (f"limit: {sentence}" for sentence in self.limits)
        yield from self.facts

    def next_command(self) -> str:
        """Return the shell command that runs the pipeline on the dataset."""
        settings = [f"DownloadDataset.source={self.root}", f"PrepareAnnotations.partition={self.partition}"]
        words = ["mrnn", "run", self.dataset]
        return shlex.join([*words, *(word for setting in settings for word in ("--set", setting))])


def validate(
    name: str,
    dataset: Dataset,
    root: Path,
    progress: Progress,
    *,
    partition: str = "",
    tokenizer: str = "tf-mrnn",
    max_images: int = 0,
    demands: Demands = Demands(),
) -> ValidationReport:
    """Read captions and images below `root` as the pipeline does, and report everything that it will meet.

    Args:
        name: Name of the dataset, for the report.
        dataset: The dataset.
        root: Its folder.
        progress: Called with a fraction and a message.
        partition: See `pipelines.data.splits`; empty for the published one, with a tenth drawn for each missing split.
        tokenizer: One of `model.text.tokenizers.TOKENIZERS`.
        max_images: Number of images to open, small splits first; 0 opens all.
        demands: Requirements of the pipeline for the dataset.
    """
    report = ValidationReport(name, root, partition)
    problems = Problems(collect_errors=True)
    records: list[Record] = []
    try:
        records = list(dataset.records(root, problems))
        if not problems.of_level("error"):
            check_records(dataset, records, root, problems)
        has_enough = not too_many_invalid(records, problems, demands.max_invalid_fraction)
        if has_enough and not problems.of_level("error"):
            report.partition = partition or suggest_partition(records)
            records = assign_splits(dataset, records, root, report.partition, problems)
    except (InputError, ConfigurationError) as error:
        has_enough = False
        problems.error("files that cannot be used", str(error))
    is_read = has_enough and not problems.of_level("error")  # else splits and counts would not be true
    records = keep_usable(records, root, problems)
    if message := too_many_invalid(records, problems, demands.max_invalid_fraction):
        problems.error("too many invalid captions", message)
    if is_read and records:
        _check_captions(records, tokenizer, demands, problems, report)
    _check_images(records, root, max_images, demands, problems, report, progress)
    report.findings = problems.findings
    return report


def _check_captions(
    records: Sequence[Record], tokenizer: str, demands: Demands, problems: Problems, report: ValidationReport
) -> None:
    by_split = {split: [record for record in records if record.split == split] for split in EVERY_SPLIT}
    for split in SPLITS:
        if not by_split[split]:
            problems.error("empty splits", f"The dataset {describe_empty_split(split)}")
    for record in records:
        repeated = [caption for caption, count in Counter(record.captions).items() if count > 1]
        if repeated:
            problems.remark(
                "images with repeated captions",
                f"Image {record.image_id} has the caption {repeated[0]!r} more than once.",
            )
    tokenize = TOKENIZERS[tokenizer]
    tokens = {
        split: [tokenize(caption) for record in of_split for caption in record.captions]
        for split, of_split in by_split.items()
    }
    for split, of_split in by_split.items():
        if of_split:
            report.facts.append(f"{split}: {len(of_split)} images, {len(tokens[split])} captions")
    every = [caption for captions in tokens.values() for caption in captions]
    lengths = [len(caption) for caption in every]
    long = sum(length > LONG_CAPTION for length in lengths)
    captions = [len(record.captions) for record in records if record.captions]
    report.facts += [
        f"captions per image: {_spread(captions)}",
        f"tokens per caption ({tokenizer}): {_spread(lengths)}; {long} of more than {LONG_CAPTION} are truncated in "
        "training",
    ]
    training = Counter(token for caption in tokens["train"] for token in caption)
    others = Counter(token for split in SPLITS[1:] for caption in tokens[split] for token in caption)
    for threshold in THRESHOLDS:
        known = {token for token, count in training.items() if count >= threshold}
        unknown = sum(count for token, count in others.items() if token not in known)
        fraction = f", {unknown / others.total():.2%} of the tokens of val and test are unknown" if others else ""
        report.facts.append(f"tokens seen in training at least {threshold} times: {len(known)}{fraction}")
    common = Counter(token for caption in every for token in caption).most_common(COMMON_WORDS)
    report.facts.append(f"most common tokens: {' '.join(token for token, _ in common)}")
    report.limits += _limits(by_split["train"], training, demands)


def _limits(training: Sequence[Record], counts: Counter[str], demands: Demands) -> Iterator[str]:
    """Yield one sentence for each parameter that the training split is too small for."""
    captions = sum(len(record.captions) for record in training)
    if not training:
        return
    if len(training) < demands.neighbors:
        yield (
            f"Reranking uses the captions of all {len(training)} training images instead of the k = "
            f"{demands.neighbors} nearest."
        )
    nearest = min(demands.neighbors, len(training))
    references = sum(sorted((len(record.captions) for record in training), reverse=True)[:nearest])
    if references < demands.similarities:
        yield (
            f"Reranking sums at most {references} similarities instead of m = {demands.similarities}: the nearest "
            "images have no more captions."
        )
    if captions < demands.batch_size:
        yield f"A training batch has {captions} captions instead of batch_size = {demands.batch_size}."
    if not any(count >= demands.min_count for count in counts.values()):
        yield f"No token occurs min_count = {demands.min_count} times in training captions; set it lower."


def _check_images(
    records: Sequence[Record],
    root: Path,
    max_images: int,
    demands: Demands,
    problems: Problems,
    report: ValidationReport,
    progress: Progress,
) -> None:
    small_splits_first = sorted(records, key=lambda record: (record.split == "train", image_order(record.image_id, 0)))
    chosen = small_splits_first[: max_images or None]

    def inspect(record: Record) -> tuple[tuple[int, int], NDArray[np.bool_]] | str:
        try:
            image = decode_image((root / record.file).read_bytes())
            return image.size, image_hash(image)
        except (InputError, OSError) as error:
            return f"{root / record.file}: {error}; replace the file or remove its captions."

    sizes, hashes, kept = [], [], []
    unreadable = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (record, seen) in enumerate(zip(chosen, pool.map(inspect, chosen), strict=True), start=1):
            progress(number / len(chosen), f"{number} of {len(chosen)} images opened")
            if isinstance(seen, str):
                unreadable += 1
                problems.remark("unreadable images", seen)
                continue
            sizes.append(seen[0])
            hashes.append(seen[1])
            kept.append(record)
    if unreadable > demands.max_reject_fraction * len(chosen):
        problems.error(
            "too many unreadable images",
            f"{unreadable} of {len(chosen)} images cannot be read, more than max_reject_fraction = "
            f"{demands.max_reject_fraction:g} of ExtractFeatures allows; replace the files or raise it.",
        )
    if len(chosen) < len(records):
        report.facts.append(f"{len(chosen)} of {len(records)} images were opened; --max-images 0 opens all")
    if not sizes:
        return
    widths, heights = zip(*sizes, strict=True)
    report.facts.append(f"width: {_spread(widths)} pixels; height: {_spread(heights)} pixels")
    pairs = near_duplicates(np.stack(hashes), [record.split for record in kept])
    for row, other, distance in pairs:
        problems.remark(
            "similar images in two splits",
            f"{kept[row].file} ({kept[row].split}) and {kept[other].file} ({kept[other].split}) look alike: {distance} "
            "of 64 bits of their perceptual hashes differ.",
        )
    report.facts.append(f"pairs of similar images in two splits: {len(pairs)}")


def _spread(values: Iterable[Any]) -> str:
    numbers = list(values)
    return (
        f"{min(numbers)} to {max(numbers)}, mean {statistics.fmean(numbers):.1f}, median {statistics.median(numbers):g}"
    )
