"""Captioned images: as a dataset describes them (`Record`) and as the `annotations` artifact stores them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from schemas.errors import ArtifactError
from schemas.io.files import write_json_lines, write_text

SPLITS = ("train", "val", "test")
UNLABELED = "unlabeled"  # images whose captions are not public, such as those of COCO's test2014
EVERY_SPLIT = (*SPLITS, UNLABELED)


def splits_of(splits: Iterable[str]) -> tuple[str, ...]:
    """Return `SPLITS`, with `UNLABELED` if it is among the images' `splits`."""
    return EVERY_SPLIT if UNLABELED in splits else SPLITS


@dataclass(frozen=True)
class Record:
    """One image as its source describes it.

    Attributes:
        image_id: Unique name of the image.
        file: Relative path of the image, with `/`.
        split: Name of the split in the source, empty where it has none.
        captions: Raw captions.
        extras: Further fields of the source, as JSON values.
        width: Width in pixels, 0 where the source has none.
        height: Height in pixels, 0 where the source has none.
        places: File and line of each caption; empty where the source has one file per image.
    """

    image_id: str
    file: str
    split: str
    captions: tuple[str, ...]
    extras: dict[str, Any] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    places: tuple[str, ...] = field(default=(), compare=False)

    def place(self, number: int) -> str:
        """Return the file and line of caption `number`, for messages."""
        return self.places[number] if self.places else f"image {self.image_id}, caption {number}"


_Size = Annotated[int, msgspec.Meta(ge=0)]


class AnnotatedImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One captioned image of the `annotations` artifact, a line of `annotations.jsonl`.

    Attributes:
        image_id: Unique name of the image.
        file: Path of the image below the dataset's root, with `/`.
        split: One of `EVERY_SPLIT`.
        width: Width in pixels as stored, 0 where the image cannot be read.
        height: Height in pixels as stored, 0 where the image cannot be read.
        captions: Raw captions; none in the split `unlabeled`.
        extras: Further fields of the dataset, as JSON values.
    """

    image_id: Annotated[str, msgspec.Meta(min_length=1)]
    file: Annotated[str, msgspec.Meta(min_length=1, pattern=r"^(?!/)(?!(.*/)?\.\.(/|$)).*$")]
    split: Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(EVERY_SPLIT)})$")]
    width: _Size
    height: _Size
    captions: tuple[str, ...]
    extras: dict[str, Any] = {}


def write_annotations(directory: Path, images: Iterable[AnnotatedImage]) -> dict[str, int]:
    """Write `annotations.jsonl` and the name lists `train.txt`, `val.txt` and `test.txt`.

    Where two images have the same name, the lists contain paths below the dataset's root instead. `unlabeled.txt` is
    written only if there are such images.

    Returns:
        Number of images per split.
    """
    files: dict[str, list[str]] = {split: [] for split in SPLITS}

    def lines() -> Iterator[dict[str, Any]]:
        for image in images:
            files.setdefault(image.split, []).append(image.file)
            yield msgspec.structs.asdict(image)

    count = write_json_lines(directory / "annotations.jsonl", lines())
    distinct = len({file.rsplit("/", 1)[-1] for listed in files.values() for file in listed}) == count
    for split, listed in files.items():
        names = [file.rsplit("/", 1)[-1] if distinct else file for file in listed]
        write_text(directory / f"{split}.txt", "".join(name + "\n" for name in names))
    return {split: len(listed) for split, listed in files.items()}


def count_annotations(directory: Path) -> int:
    """Return the number of images without decoding them.

    Raises:
        ArtifactError: The file cannot be read.
    """
    path = directory / "annotations.jsonl"
    try:
        with open(path, "rb") as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); rerun PrepareAnnotations.") from error


def read_annotations(directory: Path, split: str | None = None) -> Iterator[AnnotatedImage]:
    """Yield the images of one split, or of all, in the artifact's order.

    Raises:
        ArtifactError: The file cannot be read, or a line is no `AnnotatedImage`.
    """
    path = directory / "annotations.jsonl"
    decode = msgspec.json.Decoder(AnnotatedImage).decode
    number = 0
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):  # noqa: B007  (named in the error)
                image = decode(line)
                if split is None or image.split == split:
                    yield image
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); rerun PrepareAnnotations.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"{path}, line {number}: {error}; rerun PrepareAnnotations.") from error
