"""The `annotations` artifact: one JSON line an image, with its split and its raw captions, and the split lists."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from schemas.errors import ArtifactError
from schemas.files import read_json_lines, write_json_lines, write_text

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class AnnotatedImage:
    """One captioned image.

    `file` is the path of the image below the dataset's root, with `/`; `width` and `height` are pixels as stored (0
    where the image cannot be read); `captions` are as the corpus has them; `extras` is whatever else the corpus says.
    """

    image_id: str
    file: str
    split: str
    width: int
    height: int
    captions: tuple[str, ...]
    extras: dict[str, Any] = field(default_factory=dict)


def write_annotations(directory: Path, images: Iterable[AnnotatedImage]) -> dict[str, int]:
    """Writes `annotations.jsonl` and the name lists `train.txt`, `val.txt`, `test.txt`; returns images per split."""
    names: dict[str, list[str]] = {split: [] for split in SPLITS}

    def lines() -> Iterator[dict[str, Any]]:
        for image in images:
            names[image.split].append(image.file.rsplit("/", 1)[-1])
            yield asdict(image)

    write_json_lines(directory / "annotations.jsonl", lines())
    for split in SPLITS:
        write_text(directory / f"{split}.txt", "".join(name + "\n" for name in names[split]))
    return {split: len(names[split]) for split in SPLITS}


def read_annotations(directory: Path, split: str | None = None) -> Iterator[AnnotatedImage]:
    """Yields the images of one split, or of all, in the artifact's order.

    Raises:
        ArtifactError: a line does not follow `annotations.schema.json`.
    """
    path = directory / "annotations.jsonl"
    for number, record in enumerate(read_json_lines(path), start=1):
        problem = next(_validator().iter_errors(record), None)
        if problem is not None:
            raise ArtifactError(f"{path}, line {number}: {problem.message}; run PrepareAnnotations again.")
        if split is None or record["split"] == split:
            yield AnnotatedImage(**{**record, "captions": tuple(record["captions"])})


@cache
def _validator() -> jsonschema.Draft202012Validator:
    text = resources.files("schemas").joinpath("annotations.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))
