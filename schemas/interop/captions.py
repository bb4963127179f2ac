"""Captions in the formats of other projects, validated record by record."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np

from schemas.annotations import AnnotatedImage, Record
from schemas.errors import InputError
from schemas.interop.features import brief, is_plain_name, numbered, plain_id, write_pickled_array
from schemas.interop.pickle import read_object_array
from schemas.io.files import canonical_json, parse_json, read_text, write_json

T = TypeVar("T")
_KEYS = {"id", "file_name", "file_path", "width", "height", "sentences"}
_KARPATHY_KEYS = {"cocoid", "filename", "filepath", "imgid", "sentids", "sentences", "split"}


def read_anno_list(path: Path) -> list[Record]:
    """Return the images of an m-RNN `anno_list_*.npy`, in its order.

    `file` is `file_path/file_name`; a caption is a sentence's tokens joined by blanks (lists of test2014 have none);
    generated sentences (`gen_beam_search_10`) are lists of tokens in `extras`.

    Raises:
        InputError: The file is damaged, contains more than plain data, or has a malformed record; names the record.
    """
    records = read_object_array(path).tolist()
    images = []
    for row, record in enumerate(_list_of(dict, records, str(path))):
        place = f"{path}, record {row}"
        sentences = _list_of(list, record.get("sentences", []), f"{place}, sentences")
        captions = [" ".join(_list_of(str, words, f"{place}, sentences")) for words in sentences]
        images.append(_image(record, captions, place))
        try:
            canonical_json(vars(images[-1])).encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:  # a pickle can contain more than JSON
            raise InputError(f"{place}, contains what JSON cannot represent ({error}); get the file again.") from error
    return _distinct(images, path)


def raise_input_error(message: str) -> None:
    """Raise InputError: the readers' default for invalid captions, which callers may count instead."""
    raise InputError(message)


def read_coco_captions(path: Path, on_invalid: Callable[[str], object] = raise_input_error) -> list[Record]:
    """Return the images of a COCO captions JSON file in its order.

    Captions are in the order of the annotations. Image lists without annotations (test2014) are valid.

    Args:
        path: The JSON file.
        on_invalid: Called with one sentence for each caption that is not text or belongs to an unlisted image.

    Raises:
        InputError: The file has another format, or a record is malformed; names the record.
    """
    content = _json_with_images(path, "a COCO captions file")
    records = _list_of(dict, content["images"], f"{path}, images")
    captions: dict[str, dict[str, str]] = {
        plain_id(record.get("id"), f"{path}, images[{row}]"): {} for row, record in enumerate(records)
    }
    for row, annotation in enumerate(_list_of(dict, content.get("annotations", []), f"{path}, annotations")):
        place = f"{path}, annotations[{row}]"
        image_id = plain_id(annotation.get("image_id"), place)
        if image_id not in captions:
            on_invalid(f"{place}: image {image_id} is not among the images; add it or remove the caption.")
        elif not isinstance(annotation.get("caption"), str):
            on_invalid(f"{place}: the caption is {brief(annotation.get('caption'))} and no text; fix or remove it.")
        else:
            captions[image_id][place] = annotation["caption"]
    images = []
    for row, record in enumerate(records):
        by_place = captions[plain_id(record["id"], str(path))]
        image = _image(record, list(by_place.values()), f"{path}, images[{row}]")
        images.append(replace(image, places=tuple(by_place)))
    return _distinct(images, path)


def read_karpathy(path: Path, on_invalid: Callable[[str], object] = raise_input_error) -> list[Record]:
    """Return the images of a Karpathy split JSON file (`dataset_coco.json` and the like), in its order.

    `split` is `train`, `val`, `test`, or `restval` for further training images of COCO. The id is `cocoid`, or the file
    name without suffix; captions are the `raw` sentences.

    Args:
        path: The JSON file.
        on_invalid: Called with one sentence for each caption that is not text.

    Raises:
        InputError: The file has another format, or a record is malformed; names the record.
    """
    images = []
    for row, record in enumerate(
        _list_of(dict, _json_with_images(path, "a Karpathy file")["images"], f"{path}, images")
    ):
        place = f"{path}, images[{row}]"
        sentences = _list_of(dict, record.get("sentences"), f"{place}, sentences")
        captions = {}
        for number, sentence in enumerate(sentences):
            if isinstance(sentence.get("raw"), str):
                captions[f"{place}, sentences[{number}]"] = sentence["raw"]
            else:
                on_invalid(f"{place}, sentences[{number}]: raw is {brief(sentence.get('raw'))} and no text; fix it.")
        if not isinstance(record.get("split"), str):
            raise InputError(f"{place}: the split is {brief(record.get('split'))}, no text; get the file again.")
        in_coco_keys = {
            "id": record.get("cocoid", PurePosixPath(str(record.get("filename"))).stem),
            "file_name": record.get("filename"),
            "file_path": record.get("filepath", ""),
        }
        others = {key: value for key, value in record.items() if key not in _KARPATHY_KEYS}
        image = _image({**others, **in_coco_keys}, list(captions.values()), place)
        images.append(replace(image, split=record["split"], places=tuple(captions)))
    return _distinct(images, path)


def _json_with_images(path: Path, wanted: str) -> dict[str, Any]:
    try:
        content = parse_json(read_text(path))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); fix it.") from error
    if not isinstance(content, dict) or "images" not in content:
        raise InputError(f"{path} has no list `images`; give {wanted}.")
    return content


def _image(record: dict[str, Any], captions: Sequence[str], place: str) -> Record:
    """Return the image of a record with COCO's keys; m-RNN's lists add the directory as `file_path`."""
    name, folder = record.get("file_name"), record.get("file_path", "")
    if not (isinstance(name, str) and name and isinstance(folder, str)):
        raise InputError(f"{place}: the file name is {brief(name)} in {brief(folder)} and no text; get the file again.")
    file = PurePosixPath(folder.replace("\\", "/"), name.replace("\\", "/"))
    if not is_plain_name(str(file)):
        raise InputError(f"{place}: the file name {brief(str(file))} has control characters; rename the file.")
    if file.is_absolute() or ".." in file.parts:
        raise InputError(f"{place}: {file} is outside the image directory; get the file from another source.")
    sizes = [record.get("width", 0), record.get("height", 0)]
    if not all(isinstance(size, int | np.integer) and size >= 0 for size in sizes):
        raise InputError(
            f"{place}: the size is {brief(sizes[0])} x {brief(sizes[1])} and no number of pixels; get the file again."
        )
    extras = {key: _json_value(value) for key, value in record.items() if key not in _KEYS}
    image_id = plain_id(record.get("id"), place)
    return Record(image_id, str(file), "", tuple(captions), extras, int(sizes[0]), int(sizes[1]))


def _json_value(value: Any) -> Any:
    """Convert NumPy arrays and scalars to JSON values; keep other values."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _list_of(kind: type[T], values: Any, place: str) -> list[T]:
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise InputError(f"{place}: a list of {kind.__name__} is expected; get the file again.")
    return values


def _distinct(images: list[Record], path: Path) -> list[Record]:
    """Return the images after checking that there are some and that their ids are distinct."""
    if not images:
        raise InputError(f"{path} contains no images; get it again.")
    seen: set[str] = set()
    for image in images:
        if image.image_id in seen:
            raise InputError(f"{path} has image {image.image_id} twice; remove one of them.")
        seen.add(image.image_id)
    return images


Words = Callable[[str], Sequence[str]]


def write_anno_list(path: Path, images: Iterable[AnnotatedImage], words: Words = str.split) -> None:
    """Write an m-RNN `anno_list_*.npy`, which `np.load(path, allow_pickle=True).tolist()` opens.

    An image without captions has no `sentences`, as in the authors' list of test2014.

    Args:
        path: File to write.
        images: Images with their captions.
        words: Tokenizer of a caption.
    """
    records = []
    for image in images:
        file = PurePosixPath(image.file)
        folder = "" if file.parent == PurePosixPath(".") else str(file.parent)
        record = {**_described(image), "file_name": file.name, "file_path": folder}
        if image.captions:
            record["sentences"] = [list(words(caption)) for caption in image.captions]
        records.append(record)
    array = np.empty(len(records), object)
    array[:] = records
    write_pickled_array(path, array)


def write_coco_captions(path: Path, images: Iterable[AnnotatedImage]) -> None:
    """Write a COCO captions JSON file with annotation ids from 0 in the order of the images."""
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image in images:
        records.append({**_described(image), "file_name": image.file})
        annotations += [
            {"id": len(annotations) + number, "image_id": numbered(image.image_id), "caption": caption}
            for number, caption in enumerate(image.captions)
        ]
    write_json(path, {"images": records, "annotations": annotations})


def write_karpathy(path: Path, dataset: str, images: Iterable[AnnotatedImage], words: Words = str.split) -> None:
    """Write a Karpathy split JSON file (`dataset_coco.json` and the like), without image sizes.

    `cocoid` is written if the image's id differs from the file name without suffix.

    Args:
        path: File to write.
        dataset: Name of the dataset.
        images: Images with their captions.
        words: Tokenizer of a caption.
    """
    records = []
    sentences = 0
    for number, image in enumerate(images):
        file = PurePosixPath(image.file)
        record: dict[str, Any] = {
            **image.extras,
            "filename": file.name,
            "imgid": number,
            "split": image.split,
            "sentids": list(range(sentences, sentences + len(image.captions))),
            "sentences": [
                {"tokens": list(words(caption)), "raw": caption, "imgid": number, "sentid": sentences + index}
                for index, caption in enumerate(image.captions)
            ],
        }
        if file.parent != PurePosixPath("."):
            record["filepath"] = str(file.parent)
        if image.image_id != file.stem:
            record["cocoid"] = numbered(image.image_id)
        sentences += len(image.captions)
        records.append(record)
    write_json(path, {"dataset": dataset, "images": records})


def _described(image: AnnotatedImage) -> dict[str, Any]:
    """Return the fields that COCO and m-RNN have in common."""
    sizes = {"width": image.width, "height": image.height}
    return {**image.extras, "id": numbered(image.image_id), **{name: size for name, size in sizes.items() if size}}
