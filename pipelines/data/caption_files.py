"""Captions of custom datasets: COCO or Karpathy JSON, Flickr's token file, CSV, TSV or JSON lines, by content."""

import ast
import csv
import io
import mmap
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from model.backbones.images import image_suffixes
from pipelines.data.dataset import Problems
from pipelines.data.files import read_lines, read_token_lines
from schemas.annotations import UNLABELED, Record
from schemas.errors import InputError
from schemas.interop.caption_files import TABLE_PREAMBLE
from schemas.interop.captions import read_coco_captions, read_karpathy
from schemas.interop.features import brief, is_plain_name
from schemas.io.files import find_repeated_key, parse_json, read_text

# Compared without case, blanks, hyphens and underscores.
IMAGE_KEYS = (
    *("image", "filename", "file", "imagename", "imagefile", "imagefilename", "imagepath", "filepath", "path"),
    *("img", "imgname", "imgfile", "imgpath", "photo", "picture"),
)
ID_KEYS = ("imageid", "imgid", "id", "name")  # name images only where no file has one of the keys above
CAPTION_KEYS = (
    *("caption", "captions", "comment", "comments", "sentence", "sentences", "text", "texts"),
    *("description", "descriptions", "imagecaption", "alttext", "raw"),
)
SPLIT_KEYS = ("split", "subset", "partition")
SPLITS = {
    "": "",
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    UNLABELED: UNLABELED,
}
DELIMITERS = "\t,;|"
WANTED = (
    "COCO or Karpathy JSON, lines NAME.jpg#K<TAB>caption, CSV or TSV with columns image and caption, or JSON lines "
    'with the keys "image" and "caption"'
)
SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".token")
_MAX_DEPTH = 3  # directories and the file
_HEAD_CHARACTERS = 1 << 16
_NAMED_FILES = 5  # in a message
_SPLIT_WORD = re.compile(rf"(?<![a-z])({'|'.join(sorted(filter(None, SPLITS), key=len, reverse=True))})(?![a-z])")

Reader = Callable[[Path, Problems], Iterator[Record]]


@dataclass(frozen=True)
class CaptionFile:
    """A captions file.

    Attributes:
        path: Path of the file.
        read: Yields its records; their `file` is as given in the captions file.
        split: Split of its records that have none.
    """

    path: Path
    read: Reader
    split: str = ""


def find_caption_files(root: Path, paths: Sequence[PurePosixPath]) -> list[CaptionFile]:
    """Return the captions files among `paths` below `root`, at most two directories deep.

    There is one, or one for each split, which is named by the file (`captions_train.json`) or its directory
    (`train/metadata.jsonl`). Files without captions are skipped.

    Raises:
        InputError: There is none, or it is ambiguous which to take.
    """
    shallow = [path for path in paths if len(path.parts) <= _MAX_DEPTH]
    candidates = [path for path in shallow if path.suffix.lower() in SUFFIXES]
    readers = {path: _recognize(root / path, IMAGE_KEYS) for path in candidates}
    if all(isinstance(reader, str) for reader in readers.values()):
        readers = {path: _recognize(root / path, IMAGE_KEYS + ID_KEYS) for path in candidates}
    found = [CaptionFile(root / path, reader) for path, reader in readers.items() if not isinstance(reader, str)]
    if not found:
        others = [path for path in shallow if path.suffix.lower() not in image_suffixes().union(SUFFIXES)]
        lacks = [f"{path} {reader}" for path, reader in readers.items()]
        lacks += [f"{path} has an unsupported format" for path in others]
        seen = f" ({'; '.join(sorted(lacks, key=_by_likelihood)[:_NAMED_FILES])})" if lacks else ""
        raise InputError(f"There are no captions below {root}{seen}; add a file with captions as {WANTED}.")
    if len(found) == 1:
        return found
    splits = [_split_of(file.path.relative_to(root)) for file in found]
    if "" in splits or len(set(splits)) < len(splits):
        names = ", ".join(str(file.path.relative_to(root)) for file in found)
        raise InputError(
            f"There are several captions files below {root} ({names}); keep one, or one for each split with train, val "
            "or test in the name of the file or of its directory."
        )
    return [replace(file, split=split) for file, split in zip(found, splits, strict=True)]


def _by_likelihood(reason: str) -> bool:
    """Sort plain texts, such as a README, behind files that should have captions."""
    return ".txt " in reason


def folder_split(path: PurePosixPath | Path) -> str:
    """Return the split that a directory of `path` is named after, such as `val` for `validation/a.jpg`, or nothing."""
    for part in reversed(path.parts[:-1]):
        word = part.lower().rstrip("0123456789-_ ")
        if word and word in SPLITS:
            return SPLITS[word]
    return ""


def _split_of(path: Path) -> str:
    word = _SPLIT_WORD.search(path.stem.lower())
    return SPLITS[word[1]] if word else folder_split(path)


def read_captions(files: Sequence[CaptionFile], problems: Problems) -> Iterator[tuple[CaptionFile, Record]]:
    """Yield the records of the files, with the names of splits unified; an unknown split is an error."""
    for file in files:
        for record in file.read(file.path, problems):
            split = (record.split.strip() or file.split).lower()
            if split not in SPLITS:
                problems.error(
                    "unknown splits",
                    f"{record.place(0)}: there is no split {record.split!r}; use train, val, test or {UNLABELED}.",
                )
            captions = tuple(caption.strip() for caption in record.captions)
            yield file, replace(record, captions=captions, split=SPLITS.get(split, ""))


def _recognize(path: Path, image_keys: Sequence[str]) -> Reader | str:
    """Return the reader of a captions file, or the reason why the file is not one."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as stream:  # the reader decodes strictly
            head = stream.read(_HEAD_CHARACTERS).lstrip()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); change its permissions.") from error
    suffix = path.suffix.lower()
    if head.rstrip() in ("", "[]", "{}"):
        return "is empty"
    if "\0" in head[:4] or head.startswith("\ufffd\ufffd"):
        try:
            read_text(path)
        except InputError as error:
            if suffix not in (".txt", ".json"):
                raise
            return str(error).removeprefix(f"{path} ").removesuffix(".")
    if suffix in (".jsonl", ".ndjson"):
        return _missing_key(head, image_keys) or _read_json_lines
    if suffix == ".json":
        return _recognize_json(path, head, image_keys)
    first = TABLE_PREAMBLE.sub("", head, 1).partition("\n")[0]
    if re.match(r"[^\t]+#\d+\t", first):
        return _read_token
    if _delimiter(first, image_keys):
        return _read_table
    return f"has no header that names an image and a caption: its first line is {first.strip()[:60]!r}"


def _recognize_json(path: Path, head: str, image_keys: Sequence[str]) -> Reader | str:
    if not head.startswith(("[", "{")):
        return "is no list or object"
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        keys = ("annotations", "caption", "images", "sentences")
        has = {key: re.search(rb'"%b"\s*:' % key.encode(), content) is not None for key in keys}
    if head.startswith("["):
        return _missing_key(head, image_keys) or _read_json_list
    if has["images"] and has["sentences"]:
        return _read_karpathy
    if has["images"] and has["annotations"]:
        return _read_coco if has["caption"] else "has no key for the caption (caption, ...)"
    if re.match(r'\{\s*"[^"]+\.\w{2,5}"\s*:\s*(\[\s*)?"', head):
        return _read_json_mapping
    return _missing_key(head, image_keys) or _read_json_list


def _missing_key(head: str, image_keys: Sequence[str]) -> str:
    """Describe the key that the JSON records in `head` lack; empty if they have an image and a caption."""
    keys = {_plain_key(key) for key in re.findall(r'"([^"\\]{1,40})"\s*:', head)}
    if not keys.intersection(image_keys):
        return "has no key for the image (image, file_name, ...)"
    return "" if keys.intersection(CAPTION_KEYS) else "has no key for the caption (caption, text, ...)"


def _plain_key(key: str) -> str:
    return re.sub(r"[\s_-]", "", key).lower()


def _delimiter(header: str, image_keys: Sequence[str]) -> str | None:
    """Return the delimiter of a header that names an image and a caption."""
    for delimiter in DELIMITERS:
        columns = [_plain_key(name) for name in next(csv.reader([header], delimiter=delimiter), [])]
        if any(key in columns for key in image_keys) and any(key in columns for key in CAPTION_KEYS):
            return delimiter
    return None


def _read_coco(path: Path, problems: Problems) -> Iterator[Record]:
    yield from read_coco_captions(path, partial(problems.invalid, "captions that are no text or of no image"))


def _read_karpathy(path: Path, problems: Problems) -> Iterator[Record]:
    yield from read_karpathy(path, partial(problems.invalid, "captions that are no text or of no image"))


def _read_token(path: Path, problems: Problems) -> Iterator[Record]:
    for number, name, _, caption in read_token_lines(path, problems):
        yield Record("", name, "", (caption,), places=(f"{path}, line {number}",))


def _read_table(path: Path, problems: Problems) -> Iterator[Record]:
    text = read_text(path)
    preamble = TABLE_PREAMBLE.match(text)[0]  # type: ignore[index]
    text, before = text.removeprefix(preamble), preamble.count("\n")
    stream = io.StringIO(text, newline="")
    delimiter = _delimiter(stream.readline(), IMAGE_KEYS + ID_KEYS) or ","
    stream.seek(0)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    columns = [_plain_key(name) for name in next(reader)]
    line = before + reader.line_num + 1
    try:
        for cells in reader:
            place, line = f"{path}, line {line}", before + reader.line_num + 1
            if len(cells) == len(columns):
                yield from _record(dict(zip(columns, map(str.strip, cells), strict=True)), place, problems)
            elif any(cell.strip() for cell in cells):
                problems.invalid(
                    "lines with a missing or an extra separator", _explain(cells, columns, delimiter, place)
                )
    except csv.Error as error:
        problems.error(
            "malformed quotes", f"{path}, line {line}: the quotes are malformed ({error}); double quotes within a text."
        )


def _explain(cells: Sequence[str], columns: Sequence[str], delimiter: str, place: str) -> str:
    """Describe a line with another number of cells than the header."""
    named = {"\t": "tab"}.get(delimiter, repr(delimiter))
    if len(cells) < len(columns):
        return (
            f"{place}, lacks a separator: it has {len(cells)} of {len(columns)} columns; add the missing {named} "
            f"({delimiter.join(cells)[:60]!r})."
        )
    return (
        f"{place}, has {len(cells)} columns instead of {len(columns)}; remove the extra {named}, or put the text in "
        "double quotes."
    )


def _read_json_lines(path: Path, problems: Problems) -> Iterator[Record]:
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        try:
            record = parse_json(line)
        except ValueError as error:
            problems.invalid("lines that are no JSON", f"{place}, is not JSON ({error}); fix the line.")
        else:
            yield from _record(record, place, problems)


def _read_json_list(path: Path, problems: Problems) -> Iterator[Record]:
    """Read a list of records, which may be the only list of an object, such as `{"data": [...]}`."""
    content = _parse(path)
    lists = [value for value in content.values() if isinstance(value, list)] if isinstance(content, dict) else [content]
    if len(lists) != 1:
        raise InputError(f"{path} has {len(lists)} lists where one of captions is expected; store them as {WANTED}.")
    for number, record in enumerate(lists[0]):
        yield from _record(record, f"{path}, record {number}", problems)


def _read_json_mapping(path: Path, problems: Problems) -> Iterator[Record]:
    content = _parse(path)
    repeated = find_repeated_key(read_text(path))
    if repeated is not None:
        raise InputError(f"{path} has the key {repeated!r:.80} twice; join the captions of an image in one list.")
    for name, captions in content.items():
        yield from _record({"image": name, "captions": captions}, f"{path}, {brief(name)}", problems)


def _parse(path: Path) -> Any:
    try:
        return parse_json(read_text(path))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); fix it.") from error


def _record(content: Any, place: str, problems: Problems) -> Iterator[Record]:
    """Yield the record that a JSON object or a line of a table describes, unless it is invalid."""
    if not isinstance(content, Mapping):
        problems.invalid(
            "records of another form", f'{place}, is no object; write {{"image": "NAME.jpg", "caption": "..."}}.'
        )
        return
    fields = {_plain_key(str(key)): value for key, value in content.items()}
    file = _first(fields, IMAGE_KEYS + ID_KEYS)
    file = file.get("path") if isinstance(file, Mapping) else file
    split, image_id = _first(fields, SPLIT_KEYS) or "", fields.get("imageid", "")
    captions = _first(fields, CAPTION_KEYS)
    captions = captions if isinstance(captions, list) else _written_list(captions)
    texts = [each["raw"] if isinstance(each, Mapping) and "raw" in each else each for each in captions]
    if isinstance(file, int) and not isinstance(file, bool):
        file = str(file)
    if not (isinstance(file, str) and file):
        problems.invalid("captions without an image", f"{place}, names no image; add it as image.")
    elif not isinstance(split, str) or not isinstance(image_id, str | int):
        problems.error(
            "malformed splits or ids", f"{place}, has a split or image_id that is no text; put it in quotes."
        )
    elif not is_plain_name(f"{file}{image_id}"):
        problems.error(
            "names with control characters", f"{place}, has control characters in the name of the image; rename it."
        )
    else:
        for text in texts:
            if not isinstance(text, str):
                problems.invalid(
                    "captions that are no text", f"{place}, has no text as caption ({brief(text)}); write or remove it."
                )
        valid = tuple(text for text in texts if isinstance(text, str))
        extras = content.get("extras", {})
        yield Record(
            "" if str(image_id) == file else str(image_id),
            file,
            split,
            valid,
            extras if isinstance(extras, dict) else {},
            places=(place,) * max(1, len(valid)),
        )


def _written_list(caption: Any) -> list[Any]:
    """Return the texts of a list that was written into one cell, such as `["A dog.", "Two dogs."]`, or the caption."""
    if isinstance(caption, str) and caption.startswith("[") and caption.endswith("]"):
        for parse in (parse_json, ast.literal_eval):  # as JSON and as Python write it
            with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                value = parse(caption)
                if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
                    return value
    return [caption]


def _first(fields: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((fields[key] for key in keys if key in fields), None)
