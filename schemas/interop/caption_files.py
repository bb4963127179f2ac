"""Files with references or generated captions, in all supported formats."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.errors import InputError
from schemas.interop.captions import read_anno_list, read_coco_captions
from schemas.interop.features import plain_id
from schemas.io.files import parse_json, read_text


def read_references(path: Path) -> dict[str, tuple[str, ...]]:
    """Return captions by image id, in the order of the file; images without captions are left out.

    Formats: a COCO captions file; an m-RNN `anno_list_*.npy`; JSON or JSON lines with records of `image_id` and either
    `caption` (any number of records per image) or `captions`, which are strings or `{"tokens": [...]}`.

    Raises:
        InputError: The file has none of these formats, or a record is malformed; names the record.
    """
    if path.suffix.lower() == ".npy":
        captions = {image.image_id: image.captions for image in read_anno_list(path)}
    elif path.suffix.lower() == ".json" and isinstance(_parse(path), dict):
        captions = {image.image_id: image.captions for image in read_coco_captions(path)}
    else:
        captions = {}
        for place, record in _records(path):
            image_id = plain_id(record.get("image_id"), place)
            captions[image_id] = (*captions.get(image_id, ()), *_captions(record, place))
    kept = {image_id: texts for image_id, texts in captions.items() if texts}
    if not kept:
        raise InputError(f"{path} holds no captions; give a file of captions.")
    return kept


def read_generated(path: Path) -> dict[str, tuple[str, ...]]:
    """Return generated captions by image id, best first, in the formats of `read_references`.

    From m-RNN's lists, generated sentences are read.

    Raises:
        InputError: As for `read_references`, or an m-RNN list contains no generated sentences.
    """
    if path.suffix.lower() != ".npy":
        return read_references(path)
    captions = {}
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


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of a JSON list or of JSON lines, each with its location."""
    content = _parse(path) if path.suffix.lower() == ".json" else None
    if path.suffix.lower() == ".json" and not isinstance(content, list):
        raise InputError(f"{path} holds no list of captions; give a file of captions.")
    for number, record in enumerate(_lines(path), start=1) if content is None else enumerate(content):
        place = f"{path}, {'line' if content is None else 'record'} {number}"
        if not isinstance(record, dict):
            raise InputError(f'{place}, is no record {{"image_id", "caption"}}; fix it.')
        yield place, record


def _captions(record: dict[str, Any], place: str) -> list[str]:
    if "caption" in record:
        return [_text(record["caption"], place)]
    captions = record.get("captions")
    if not isinstance(captions, list):
        raise InputError(f"{place}, has neither `caption` nor `captions`; add one.")
    return [_text(each["tokens"] if isinstance(each, dict) and "tokens" in each else each, place) for each in captions]


def _text(caption: Any, place: str) -> str:
    """Return a caption given as a string or a list of tokens."""
    if isinstance(caption, list) and all(isinstance(word, str) for word in caption):
        return " ".join(caption)
    if isinstance(caption, str):
        return caption
    raise InputError(f"{place}: the caption is {caption!r:.80} instead of text; fix it.")


def _parse(path: Path) -> Any:
    try:
        return parse_json(read_text(path))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); check the path and the file.") from error


def _lines(path: Path) -> Iterator[Any]:
    # Not splitlines(), which treats other characters of captions as line ends, too.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                yield parse_json(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}, is not JSON ({error}); fix it.") from error
