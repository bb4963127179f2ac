"""Files with references or generated captions, in all supported formats."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import InputError
from schemas.interop.captions import read_anno_list, read_karpathy
from schemas.interop.features import plain_id
from schemas.io.files import parse_json, read_text

FORMATS = (
    "COCO captions or results, a Karpathy split file, records with image_id and caption as a JSON list, JSON lines or "
    'CSV, {"image_id": "caption"}, or an m-RNN list (.npy)'
)
_ID_KEYS = ("image_id", "imgid", "img_id", "image", "id", "filename", "file_name")
_FILE_KEYS = ("file_name", "file")
_CAPTION_KEYS = ("caption", "captions", "comment", "sentence", "text", "prediction")


@dataclass(frozen=True)
class References:
    """Reference captions.

    Attributes:
        captions: Image id -> one or more captions, in the order of the file.
        files: Image id -> path of its image, where the file has it.
    """

    captions: dict[str, tuple[str, ...]]
    files: dict[str, str]


def read_references(path: Path) -> References:
    """Return the captions of a file; images without captions are left out.

    The formats, recognized by content, are `FORMATS`; a record may also have `captions`, which are strings or
    `{"tokens": [...]}`. An image may have any number of records.

    Raises:
        InputError: The file has none of these formats, or a record is malformed; names the record.
    """
    captions: dict[str, tuple[str, ...]] = {}
    files: dict[str, str] = {}
    for _, image_id, texts, file in _entries(path):
        captions[image_id] = (*captions.get(image_id, ()), *texts)
        if file:
            files[image_id] = file
    kept = {image_id: texts for image_id, texts in captions.items() if texts}
    if not kept:
        raise InputError(f"{path} contains no captions; give {FORMATS}.")
    return References(kept, {image_id: file for image_id, file in files.items() if image_id in kept})


def read_generated(path: Path, unique: bool = False) -> dict[str, tuple[str, ...]]:
    """Return generated captions by image id, best first, in the formats of `read_references`.

    Args:
        path: The file; from m-RNN's lists, generated sentences are read.
        unique: Whether a second record of an image is an error, rather than its next hypothesis.

    Raises:
        InputError: As for `read_references`, with `unique` an image has two records, or an m-RNN list has no generated
            sentences.
    """
    captions: dict[str, tuple[str, ...]] = {}
    if path.suffix.lower() != ".npy":
        for place, image_id, texts, _ in _entries(path):
            if unique and image_id in captions:
                raise InputError(f"{place}: image {image_id} has captions twice; keep one record of each image.")
            if texts:
                captions[image_id] = (*captions.get(image_id, ()), *texts)
        if not captions:
            raise InputError(f"{path} contains no captions; give {FORMATS}.")
        return captions
    for image in read_anno_list(path):
        field = next((name for name in sorted(image.extras) if name.startswith("gen_")), None)
        if field is None:
            raise InputError(
                f"{path}: image {image.image_id}, has no generated sentences (gen_beam_search_N); add them."
            )
        captions[image.image_id] = tuple(
            _text(words, f"{path}, image {image.image_id}") for words in image.extras[field]
        )
    return captions


_Entry = tuple[str, str, tuple[str, ...], str | None]  # where it is in the file, image id, captions, file of the image


def _entries(path: Path) -> Iterator[_Entry]:
    """Yield the records of a file, in its order."""
    if path.suffix.lower() == ".npy":
        for image in read_anno_list(path):
            yield str(path), image.image_id, image.captions, image.file
        return
    text = read_text(path)
    start, suffix = text.lstrip()[:1], path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        yield from _table(path, text)
    elif start == "[" or (start == "{" and _is_json(text)) or (start != "{" and suffix == ".json"):
        yield from _of_json(path, _parse(path, text))
    else:
        yield from _of_records(path, "line", _lines(path, text))


def _is_json(text: str) -> bool:
    """Return whether a text that starts with an object is one JSON value and not a record per line."""
    return not _is_record(text.strip().partition("\n")[0])


def _is_record(line: str) -> bool:
    try:
        record = parse_json(line)
    except ValueError:
        return False
    return isinstance(record, dict) and any(key in record for key in _ID_KEYS) and "images" not in record


def _of_json(path: Path, content: Any) -> Iterator[_Entry]:
    if isinstance(content, list):
        yield from _of_records(path, "record", enumerate(content))
        return
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a list of captions; give {FORMATS}.")
    images = content.get("images")
    if isinstance(images, list) and images and isinstance(images[0], dict) and "sentences" in images[0]:
        for image in read_karpathy(path):
            yield str(path), image.image_id, image.captions, image.file
    elif isinstance(content.get("annotations"), list):
        files = {str(image.get("id")): _file(image) for image in images or () if isinstance(image, dict)}
        for place, image_id, texts, file in _of_records(path, "annotations", enumerate(content["annotations"])):
            if images and image_id not in files:
                raise InputError(f"{place}: image {image_id} is not among the images; add it or remove the caption.")
            yield place, image_id, texts, file or files.get(image_id)
    elif "images" in content:
        raise InputError(f"{path} contains no captions, only images; give {FORMATS}.")
    else:
        lists = [name for name, value in content.items() if isinstance(value, list) and _holds_records(value)]
        if len(lists) == 1:
            yield from _of_records(path, lists[0], enumerate(content[lists[0]]))
            return
        if not all(isinstance(value, str | list) for value in content.values()):
            raise InputError(f"{path} has an unsupported format; give {FORMATS}.")
        for key, value in content.items():
            place = f"{path}, {key!r:.80}"
            each = value if isinstance(value, list) else [value]
            yield place, plain_id(key, place), tuple(_text(text, place) for text in each), None


def _holds_records(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], dict) and any(key in values[0] for key in _ID_KEYS)


def _of_records(path: Path, unit: str, records: Iterable[tuple[int, Any]]) -> Iterator[_Entry]:
    for number, record in records:
        place = f"{path}, {unit} {number}"
        if not isinstance(record, dict):
            raise InputError(f'{place}, is no record {{"image_id", "caption"}}; fix it.')
        key = next((key for key in _ID_KEYS if key in record), "image_id")
        yield place, plain_id(record.get(key), place), tuple(_captions(record, place)), _file(record)


def _file(record: dict[str, Any]) -> str | None:
    return next((record[key] for key in _FILE_KEYS if isinstance(record.get(key), str)), None)


def _table(path: Path, text: str) -> Iterator[_Entry]:
    """Yield the rows of a CSV or TSV file with a header."""
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max("\t,;|", key=head.count))
    names = {name.strip().lower(): name for name in rows.fieldnames or () if name}
    of_image = next((names[key] for key in _ID_KEYS if key in names), None)
    of_caption = next((names[key] for key in _CAPTION_KEYS if key in names), None)
    if of_image is None or of_caption is None:
        raise InputError(
            f"{path} has no columns image_id and caption in its first line ({head.strip():.80}); add them."
        )
    try:
        for row in rows:
            place = f"{path}, line {rows.line_num}"
            value = row[of_image]
            yield place, plain_id(value.strip() if value else value, place), (_text(row[of_caption], place),), None
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}, is no CSV ({error}); fix it.") from error


def _captions(record: dict[str, Any], place: str) -> list[str]:
    key = next((key for key in _CAPTION_KEYS if key in record), None)
    if key is None:
        raise InputError(f"{place}, has neither `caption` nor `captions`; add one.")
    if key != "captions":
        return [_text(record[key], place)]
    captions = record[key]
    if not isinstance(captions, list):
        raise InputError(f"{place}, has neither `caption` nor a list `captions`; add one.")
    return [_text(each["tokens"] if isinstance(each, dict) and "tokens" in each else each, place) for each in captions]


def _text(caption: Any, place: str) -> str:
    """Return a caption that is a text, or a list of tokens."""
    if isinstance(caption, list) and all(isinstance(word, str) for word in caption):
        return " ".join(caption)
    if isinstance(caption, str):
        return caption
    raise InputError(f"{place}: the caption is {caption!r:.80} and no text; fix it.")


def _parse(path: Path, text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); check the path and the file.") from error


def _lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines(): captions may contain characters that it treats as line ends.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, parse_json(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}, is not JSON ({error}); fix it.") from error
