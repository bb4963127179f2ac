"""The `hypotheses.jsonl` artifact: generated captions of each image, best first, and their search settings."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError
from schemas.io.files import read_json, read_json_lines, write_json, write_json_lines


@dataclass(frozen=True)
class Hypothesis:
    """A candidate caption, generated or retrieved.

    Attributes:
        tokens: Its tokens, without start and end tokens.
        log_prob: ln P(tokens, end token | image) in nats; without the end token if the caption was truncated at the
            maximum length. None if no model has generated it.
        origins: In a pool, the names of all sources that contain it.
    """

    tokens: tuple[str, ...]
    log_prob: float | None
    origins: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageHypotheses:
    """All hypotheses of one image.

    Attributes:
        image_id: Id of the image.
        captions: Its hypotheses, best first.
    """

    image_id: str
    captions: tuple[Hypothesis, ...]


@dataclass(frozen=True)
class SearchSetting:
    """Search settings of hypotheses.

    Attributes:
        search: `greedy`, `beam`, `n-best`, `sample` or `pool`.
        width: Width of the beam, number of samples per image, or largest number of hypotheses of an image in a pool.
    """

    search: str
    width: int


def to_record(image: ImageHypotheses) -> dict[str, Any]:
    """Convert an image's hypotheses to a JSON value."""
    captions: list[dict[str, Any]] = []
    for each in image.captions:
        captions.append({"tokens": list(each.tokens), "log_prob": each.log_prob})
        if each.origins:
            captions[-1]["origins"] = list(each.origins)
    return {"image_id": image.image_id, "captions": captions}


def from_record(record: dict[str, Any]) -> ImageHypotheses:
    """Convert a JSON value back.

    Raises:
        KeyError: A field is missing.
        TypeError: A value has another type.
    """
    captions = tuple(
        Hypothesis(tuple(each["tokens"]), each["log_prob"], tuple(each.get("origins", ())))
        for each in record["captions"]
    )
    return ImageHypotheses(record["image_id"], captions)


def write_hypotheses(directory: Path, images: Iterable[ImageHypotheses]) -> int:
    """Write `hypotheses.jsonl` and return the number of images."""
    return write_json_lines(directory / "hypotheses.jsonl", map(to_record, images))


def read_hypotheses(directory: Path) -> Iterator[ImageHypotheses]:
    """Yield the images of `hypotheses.jsonl` in order.

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
    """Write `search.json`."""
    write_json(directory / "search.json", asdict(setting))


def read_search(directory: Path) -> SearchSetting:
    """Read `search.json`.

    Raises:
        ArtifactError: The file is missing or malformed.
    """
    path = directory / "search.json"
    try:
        return SearchSetting(**read_json(path))
    except TypeError as error:
        raise ArtifactError(f"{path} is not a search setting ({error}); run its stage again.") from error
