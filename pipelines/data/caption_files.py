"""Captions of one's own images: COCO or Karpathy JSON, Flickr's token file, CSV, TSV or JSON lines, told by content."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pipelines.data.dataset import Problems
from pipelines.data.files import has_word, read_lines, read_token_lines
from schemas.annotations import UNLABELED
from schemas.errors import InputError
from schemas.interop.captions import CaptionedImage, read_coco_captions, read_karpathy
from schemas.interop.features import is_plain_name
from schemas.io.files import parse_json

IMAGE_KEYS = ("image", "file", "file_name", "filename", "image_name", "image_path", "path")
CAPTION_KEYS = ("caption", "captions", "comment", "sentence", "text")
SPLITS = {
    "": "",
    "train": "train",
    "training": "train",
    "restval": "train",
    "test": "test",
    UNLABELED: UNLABELED,
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
}
DELIMITERS = "\t,;|"
WANTED = (
    "COCO or Karpathy JSON, lines NAME.jpg#K<TAB>caption, CSV or TSV with columns image and caption, or JSON lines "
    'with the keys "image" and "caption"'
)
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".token")
_FOLDERS_DEEP = 2
_HEAD_CHARACTERS = 1 << 16
_SPLIT_IN_NAME = re.compile(r"(?<![a-z])(train|val|dev|test)")


@dataclass(frozen=True)
class CaptionedRow:
    """Captions of an image at one place of a captions file; `split` and `image_id` are empty where it gives none."""

    place: str
    file: str
    captions: tuple[str, ...]
    split: str
    image_id: str = ""
    extras: dict[str, Any] = field(default_factory=dict)


Reader = Callable[[Path, Problems], Iterator[CaptionedRow]]


@dataclass(frozen=True)
class CaptionFile:
    """A file of captions, how to read it, and the split of its rows that give none."""

    path: Path
    read: Reader
    split: str = ""


def find_caption_files(root: Path, paths: Sequence[PurePosixPath]) -> list[CaptionFile]:
    """The caption files among `paths` below `root`, at most two folders deep.

    There is one, or one for each split, told by its name (`captions_train.json`).

    Raises:
        InputError: there is none, or it is not clear which to take.
    """
    found = []
    for path in paths:
        if len(path.parts) <= _FOLDERS_DEEP and path.suffix.lower() in _SUFFIXES:
            reader = _recognize(root / path)
            if reader is not None:
                found.append(CaptionFile(root / path, reader))
    if not found:
        raise InputError(f"There are no captions below {root}; put a file there as {WANTED}.")
    if len(found) == 1:
        return found
    words = [_SPLIT_IN_NAME.search(each.path.stem.lower()) for each in found]
    splits = [SPLITS[word[1]] if word else "" for word in words]
    if "" in splits or len(set(splits)) < len(splits):
        names = ", ".join(str(each.path.relative_to(root)) for each in found)
        raise InputError(
            f"There are several files of captions below {root} ({names}); leave one, or one for each split with train, "
            "val or test in its name."
        )
    return [CaptionFile(each.path, each.read, split) for each, split in zip(found, splits, strict=True)]


def read_captions(root: Path, files: Sequence[CaptionFile], problems: Problems) -> Iterator[CaptionedRow]:
    """Yields the rows of the files; what is malformed, empty or in an unknown split is an error of `problems`."""
    for file in files:
        for row in file.read(file.path, problems):
            split = (row.split or file.split).lower()
            if split not in SPLITS:
                problems.error(f"{row.place}: there is no split {row.split!r}; use train, val, test or {UNLABELED}.")
            captions = tuple(caption.strip() for caption in row.captions)
            for caption in captions:
                if not has_word(caption):
                    problems.error(
                        f"{row.place}: the caption {caption!r} of {row.file} has no word; write or remove it."
                    )
            kept = tuple(caption for caption in captions if has_word(caption))
            yield CaptionedRow(row.place, row.file, kept, SPLITS.get(split, ""), row.image_id, row.extras)


def _recognize(path: Path) -> Reader | None:
    """The reader of a captions file; None for other files."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as stream:  # whoever reads all of it is strict
            head = stream.read(_HEAD_CHARACTERS).lstrip()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it readable.") from error
    first = head.partition("\n")[0]
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return _read_json_lines
    if path.suffix.lower() == ".json":
        if head.startswith("[") or not re.search(r'"(images|annotations)"\s*:\s*\[', head):
            return _read_json_list if head.startswith("[") else None
        return _read_karpathy if re.search(r'"sentences"\s*:', head) else _read_coco
    if re.match(r"[^\t]+#\d+\t", first):
        return _read_token
    return _read_table if _delimiter(first) else None


def _read_coco(path: Path, problems: Problems) -> Iterator[CaptionedRow]:
    return _rows(path, read_coco_captions(path))


def _read_karpathy(path: Path, problems: Problems) -> Iterator[CaptionedRow]:
    return _rows(path, read_karpathy(path))


def _rows(path: Path, images: Sequence[CaptionedImage]) -> Iterator[CaptionedRow]:
    for image in images:
        place = f"{path}, image {image.image_id}"
        yield CaptionedRow(place, image.file, image.captions, image.split, image.image_id)


def _read_token(path: Path, problems: Problems) -> Iterator[CaptionedRow]:
    for number, name, _, caption in read_token_lines(path, problems):
        yield CaptionedRow(f"{path}, line {number}", name, (caption,), "")


def _delimiter(header: str) -> str | None:
    """What separates the columns of a header that names an image and a caption."""
    for delimiter in DELIMITERS:
        columns = _columns(next(csv.reader([header], delimiter=delimiter), []))
        if any(key in columns for key in IMAGE_KEYS) and any(key in columns for key in CAPTION_KEYS):
            return delimiter
    return None


def _columns(header: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in header]


def _read_table(path: Path, problems: Problems) -> Iterator[CaptionedRow]:
    line = 1
    with open(path, encoding="utf-8-sig", newline="") as stream:
        try:
            delimiter = _delimiter(stream.readline()) or ","
            stream.seek(0)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            columns = _columns(next(reader))
            line = reader.line_num + 1
            for cells in reader:
                place, line = f"{path}, line {line}", reader.line_num + 1
                if not cells:
                    continue
                if len(cells) != len(columns):
                    problems.error(
                        f"{place}, has {len(cells)} columns instead of {len(columns)}; put texts with {delimiter!r} in "
                        "double quotes."
                    )
                else:
                    yield from _row(dict(zip(columns, map(str.strip, cells), strict=True)), place, problems)
        except (csv.Error, UnicodeDecodeError) as error:
            problems.error(f"{path}, line {line}, is malformed ({error}); mend the line, or store the file as UTF-8.")


def _read_json_lines(path: Path, problems: Problems) -> Iterator[CaptionedRow]:
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        try:
            record = parse_json(line)
        except ValueError as error:
            problems.error(f"{place}, is not JSON ({error}); mend the line.")
        else:
            yield from _row(record, place, problems)


def _read_json_list(path: Path, problems: Problems) -> Iterator[CaptionedRow]:
    try:
        records = parse_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); mend it.") from error
    for number, record in enumerate(records):
        yield from _row(record, f"{path}, record {number}", problems)


def _row(record: Any, place: str, problems: Problems) -> Iterator[CaptionedRow]:
    """The row that a JSON object, or a line of a table, stands for."""
    if not isinstance(record, Mapping):
        problems.error(f'{place}, is no JSON object; write {{"image": "NAME.jpg", "caption": "..."}}.')
        return
    file = next((record[key] for key in IMAGE_KEYS if key in record), None)
    captions = next((record[key] for key in CAPTION_KEYS if key in record), None)
    captions = [captions] if isinstance(captions, str) else captions
    split, image_id = record.get("split", ""), record.get("image_id", "")
    if not (isinstance(file, str) and file):
        problems.error(f"{place}, names no image; give it the key or column image.")
    elif not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
        problems.error(f"{place}, has no text as caption; give it the key or column caption.")
    elif not isinstance(split, str) or not isinstance(image_id, str | int):
        problems.error(f"{place}, has a split or image_id that is no text; put it in quotes.")
    elif not is_plain_name(f"{file}{image_id}"):
        problems.error(f"{place}, has control characters in the name of the image; rename it.")
    else:
        extras = record.get("extras", {})
        yield CaptionedRow(
            place, file, tuple(captions), split, str(image_id), extras if isinstance(extras, dict) else {}
        )
