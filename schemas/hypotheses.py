"""The `hypotheses.jsonl` artifact: generated captions of each image, best first, and how they were searched for."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError
from schemas.io.files import read_json, read_json_lines, write_json, write_json_lines


@dataclass(frozen=True)
class Hypothesis:
    """A generated caption.

    Attributes:
        tokens: Its tokens, without start and end sign.
        log_prob: ln P(tokens, end sign | image) in nats. A caption that was truncated at the maximum length has no end
            sign, and none in its probability.
    """

    tokens: tuple[str, ...]
    log_prob: float


@dataclass(frozen=True)
class ImageHypotheses:
    """All hypotheses of one image, best first."""

    image_id: str
    captions: tuple[Hypothesis, ...]


@dataclass(frozen=True)
class SearchSetting:
    """How hypotheses were generated.

    Attributes:
        search: `greedy`, `beam`, `wide` or `sample`.
        width: Width of the beam, or the number of samples per image.
    """

    search: str
    width: int


def to_record(image: ImageHypotheses) -> dict[str, Any]:
    """Converts an image's hypotheses to a JSON value."""
    return {
        "image_id": image.image_id,
        "captions": [{"tokens": list(each.tokens), "log_prob": each.log_prob} for each in image.captions],
    }


def from_record(record: dict[str, Any]) -> ImageHypotheses:
    """Converts a JSON value back.

    Raises:
        KeyError: A field is missing.
        TypeError: A value has another type.
    """
    captions = tuple(Hypothesis(tuple(each["tokens"]), each["log_prob"]) for each in record["captions"])
    return ImageHypotheses(record["image_id"], captions)


def write_hypotheses(directory: Path, images: Iterable[ImageHypotheses]) -> int:
    """Writes `hypotheses.jsonl`; returns the number of images."""
    return write_json_lines(directory / "hypotheses.jsonl", map(to_record, images))


def read_hypotheses(directory: Path) -> Iterator[ImageHypotheses]:
    """Yields the images of `hypotheses.jsonl` in order.

    Raises:
        ArtifactError: The file is missing or a line is malformed; names the line.
    """
    path = directory / "hypotheses.jsonl"
    for number, record in enumerate(read_json_lines(path), start=1):
        try:
            image = from_record(record)
        except (KeyError, TypeError) as error:
            raise ArtifactError(
                f"{path}, line {number}, contains no hypotheses ({error!r}); run its stage again."
            ) from error
        yield image


def write_search(directory: Path, setting: SearchSetting) -> None:
    """Writes `search.json`."""
    write_json(directory / "search.json", asdict(setting))


def read_search(directory: Path) -> SearchSetting:
    """Reads `search.json`.

    Raises:
        ArtifactError: The file is missing or malformed.
    """
    path = directory / "search.json"
    try:
        return SearchSetting(**read_json(path))
    except TypeError as error:
        raise ArtifactError(f"{path} is not a setting of GenerateCaptions ({error}); run it again.") from error
