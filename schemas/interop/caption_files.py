"""Files with references or generated captions, in all supported formats."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import InputError
from schemas.interop.captions import read_anno_list, read_karpathy
from schemas.interop.features import plain_id
from schemas.io.files import find_repeated_key, parse_json, read_text

FORMATS = (
    "COCO captions or results, a Karpathy split file, records with image_id and caption as a JSON list, JSON lines or "
    'CSV, {"image_id": "caption"}, lines ID<TAB>caption, or an m-RNN list (.npy)'
)
_ID_KEYS = ("image_id", "imgid", "img_id", "image", "id", "filename", "file_name")
TABLE_PREAMBLE = re.compile(r"(?:[ \t]*\r?\n)*(?:sep=.?\r?\n)?", re.IGNORECASE)
"""Blank lines ahead of the header of a table, and the line that Excel reads there; matches every text."""
_CAPTION_NUMBER = re.compile(r"#\d+$")  # of Flickr's NAME.jpg#K
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
        yield from _of_json(path, _parse(path, text), text)
    elif start != "{" and _is_table(text):
        yield from _table(path, text)
    elif start != "{" and "\t" in text:
        yield from _tabbed(path, text)
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


def _of_json(path: Path, content: Any, text: str) -> Iterator[_Entry]:
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
        files = {
            plain_id(image.get("id"), f"{path}, images {number}"): _file(image)
            for number, image in enumerate(images or ())
            if isinstance(image, dict)
        }
        for place, image_id, texts, file in _of_records(path, "annotations", enumerate(content["annotations"])):
            if images and image_id not in files:
                raise InputError(f"{place}: image {image_id} is not among the images; add it or remove the caption.")
            yield place, image_id, texts, file or files.get(image_id)
    elif "images" in content:
        raise InputError(f"{path} contains no captions, only images; give {FORMATS}.")
    else:
        lists = [name for name, value in content.items() if isinstance(value, list) and _is_wrapped(name, value)]
        if len(lists) == 1:
            yield from _of_records(path, lists[0], enumerate(content[lists[0]]))
            return
        if not all(isinstance(value, str | list | dict) for value in content.values()):
            raise InputError(f"{path} has an unsupported format; give {FORMATS}.")
        repeated = find_repeated_key(text)
        if repeated is not None:
            raise InputError(f"{path} has the key {repeated!r:.80} twice; keep one record of each image.")
        for key, value in content.items():
            yield _mapped(path, key, value)


def _mapped(path: Path, key: str, value: Any) -> _Entry:
    """Return the captions of one key, which are texts, or records as those of coco-caption's `gts`."""
    place = f"{path}, {key!r:.80}"
    image_id = plain_id(key, place)
    captions: list[str] = []
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, dict):
            captions.append(_text(each, place))
        elif (name := next((name for name in _ID_KEYS if name in each), None)) and plain_id(
            each[name], place
        ) != image_id:
            raise InputError(f"{place}: a record has the {name} {each[name]!r:.80}; give {FORMATS}.")
        else:
            captions += _captions(each, place)
    return place, image_id, tuple(captions), None


def _is_wrapped(name: str, values: list[Any]) -> bool:
    """Return whether a list has records of images, and not the captions of the image `name`."""
    first = values[0] if values else None
    return isinstance(first, dict) and any(key in first and str(first[key]) != name for key in _ID_KEYS)


def _of_records(path: Path, unit: str, records: Iterable[tuple[int, Any]]) -> Iterator[_Entry]:
    for number, record in records:
        place = f"{path}, {unit} {number}"
        if not isinstance(record, dict):
            raise InputError(f'{place}, is not a record {{"image_id", "caption"}}; fix it.')
        key = next((key for key in _ID_KEYS if key in record), "image_id")
        yield place, plain_id(record.get(key), place), tuple(_captions(record, place)), _file(record)


def _file(record: dict[str, Any]) -> str | None:
    return next((record[key] for key in _FILE_KEYS if isinstance(record.get(key), str)), None)


def _tabbed(path: Path, text: str) -> Iterator[_Entry]:
    """Yield the lines `ID<TAB>caption` of a text, also Flickr's `NAME.jpg#K<TAB>caption`."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            key, tab, caption = line.rstrip("\r").partition("\t")
            if not tab:
                raise InputError(f"{path}, line {number}, has no tab between image id and caption; add it.")
            yield (
                f"{path}, line {number}",
                plain_id(_CAPTION_NUMBER.sub("", key), f"{path}, line {number}"),
                (caption,),
                None,
            )


def _is_table(text: str) -> bool:
    """Return whether the first line names columns of images and captions."""
    names = {name.strip().lower() for name in re.split("[\t,;|]", TABLE_PREAMBLE.sub("", text, 1).partition("\n")[0])}
    return not names.isdisjoint(_ID_KEYS) and not names.isdisjoint(_CAPTION_KEYS)


def _table(path: Path, text: str) -> Iterator[_Entry]:
    """Yield the rows of a CSV or TSV file with a header."""
    preamble = TABLE_PREAMBLE.match(text)[0]  # type: ignore[index]
    text, before = text.removeprefix(preamble), preamble.count("\n")
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
            place = f"{path}, line {before + rows.line_num}"
            if None in row:
                raise InputError(f"{place}, has more columns than the first line; quote the caption.")
            value = row[of_image]
            yield place, plain_id(value.strip() if value else value, place), (_text(row[of_caption], place),), None
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}, is not CSV ({error}); fix it.") from error


def _captions(record: dict[str, Any], place: str) -> list[str]:
    key = next((key for key in _CAPTION_KEYS if key in record), None)
    if key is None:
        raise InputError(f"{place}, has neither `caption` nor `captions`; add one.")
    captions = record[key]
    if key != "captions" and not _is_list_of_captions(captions):
        return [_text(captions, place)]
    if not isinstance(captions, list):
        raise InputError(f"{place}, has neither `caption` nor a list `captions`; add one.")
    return [_text(each["tokens"] if isinstance(each, dict) and "tokens" in each else each, place) for each in captions]


def _is_list_of_captions(value: Any) -> bool:
    """Return whether a value is a list of texts with blanks, and not one of tokens."""
    return isinstance(value, list) and any(isinstance(each, str) and " " in each.strip() for each in value)


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
