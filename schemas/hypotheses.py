"""The `hypotheses.jsonl` artifact: generated captions of each image, best first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError
from schemas.io.files import read_json_lines, write_json_lines


@dataclass(frozen=True)
class Hypothesis:
    """A generated caption: its words (no start or end sign) and ln P(words, end sign | image) in nats.

    A caption that was cut at the largest length has no end sign, and none in its probability.
    """

    tokens: tuple[str, ...]
    log_prob: float


@dataclass(frozen=True)
class ImageHypotheses:
    """All hypotheses of one image, best first."""

    image_id: str
    captions: tuple[Hypothesis, ...]


def to_record(image: ImageHypotheses) -> dict[str, Any]:
    """As a JSON value."""
    return {
        "image_id": image.image_id,
        "captions": [{"tokens": list(each.tokens), "log_prob": each.log_prob} for each in image.captions],
    }


def from_record(record: dict[str, Any]) -> ImageHypotheses:
    """Back from a JSON value; raises KeyError or TypeError if it is none of ours."""
    captions = tuple(Hypothesis(tuple(each["tokens"]), each["log_prob"]) for each in record["captions"])
    return ImageHypotheses(record["image_id"], captions)


def write_hypotheses(directory: Path, images: Iterable[ImageHypotheses]) -> int:
    """Writes `hypotheses.jsonl`; returns how many images."""
    return write_json_lines(directory / "hypotheses.jsonl", map(to_record, images))


def read_hypotheses(directory: Path) -> Iterator[ImageHypotheses]:
    """Yields the images of `hypotheses.jsonl` in order; raises ArtifactError if it is missing or malformed."""
    path = directory / "hypotheses.jsonl"
    for number, record in enumerate(read_json_lines(path), start=1):
        try:
            image = from_record(record)
        except (KeyError, TypeError) as error:
            raise ArtifactError(
                f"{path}, line {number}, holds no hypotheses ({error!r}); run its stage again."
            ) from error
        yield image
