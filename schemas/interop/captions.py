"""Captions in other people's formats, read at the edge and checked record by record."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import h5py
import numpy as np

from schemas.errors import InputError
from schemas.interop.features import brief, is_plain_name, numbered, plain_id, write_pickled_array
from schemas.interop.pickle import read_object_array
from schemas.io.files import atomic_path, canonical_json, parse_json, write_json

T = TypeVar("T")
_KEYS = {"id", "file_name", "file_path", "width", "height", "sentences"}
_KARPATHY_KEYS = {"cocoid", "filename", "filepath", "imgid", "sentids", "sentences", "split"}


@dataclass(frozen=True)
class CaptionedImage:
    """One image as its source describes it.

    `file` is a relative path, with `/`; `width` and `height` are pixels, 0 where the source does not say; `extras` is
    whatever else it says, as JSON values; `split` is in the source's own words, empty where it has none.
    """

    image_id: str
    file: str
    width: int
    height: int
    captions: tuple[str, ...]
    extras: dict[str, Any] = field(default_factory=dict)
    split: str = ""


def read_anno_list(path: Path) -> list[CaptionedImage]:
    """The images of an m-RNN `anno_list_*.npy`, in its order.

    `file` is `file_path/file_name`; a caption is the words of a sentence with blanks between (lists of test2014 have
    none); generated sentences (`gen_beam_search_10`) stay lists of words in `extras`.

    Raises:
        InputError: the file is damaged, asks for more than plain data or has a malformed record; names the record.
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
        except (TypeError, ValueError, RecursionError) as error:  # a pickle can hold more than JSON
            raise InputError(f"{place}, has what JSON cannot say ({error}); get the file again.") from error
    return _distinct(images, path)


def read_coco_captions(path: Path) -> list[CaptionedImage]:
    """The images of a COCO captions JSON file, in its order, with their captions in the order of its annotations.

    Image lists without annotations (test2014) are read too.

    Raises:
        InputError: the file is no such JSON, a record is malformed or a caption's image is not there; names the record.
    """
    content = _json_with_images(path, "a COCO captions file")
    records = _list_of(dict, content["images"], f"{path}, images")
    captions: dict[str, list[str]] = {
        plain_id(record.get("id"), f"{path}, images[{row}]"): [] for row, record in enumerate(records)
    }
    for row, annotation in enumerate(_list_of(dict, content.get("annotations", []), f"{path}, annotations")):
        place = f"{path}, annotations[{row}]"
        image_id = plain_id(annotation.get("image_id"), place)
        if image_id not in captions:
            raise InputError(f"{place} is of image {image_id}, which is not among the images; get the file again.")
        if not isinstance(annotation.get("caption"), str):
            raise InputError(f"{place} has no text as caption; give a COCO captions file.")
        captions[image_id].append(annotation["caption"])
    images = [
        _image(record, captions[plain_id(record["id"], str(path))], f"{path}, images[{row}]")
        for row, record in enumerate(records)
    ]
    return _distinct(images, path)


def read_karpathy(path: Path) -> list[CaptionedImage]:
    """The images of a Karpathy split JSON file (`dataset_coco.json` and the like), in its order.

    `split` is one of its words: `train`, `val`, `test`, or `restval` for COCO's images that may be trained on too. The
    id is `cocoid`, or else the file's name without its ending; captions are the `raw` sentences.

    Raises:
        InputError: the file is no such JSON or a record is malformed; names the record.
    """
    images = []
    for row, record in enumerate(
        _list_of(dict, _json_with_images(path, "a Karpathy file")["images"], f"{path}, images")
    ):
        place = f"{path}, images[{row}]"
        sentences = _list_of(dict, record.get("sentences"), f"{place}, sentences")
        captions = _list_of(str, [sentence.get("raw") for sentence in sentences], f"{place}, sentences")
        if not isinstance(record.get("split"), str):
            raise InputError(f"{place}: the split is {brief(record.get('split'))}, no text; get the file again.")
        in_coco_keys = {
            "id": record.get("cocoid", PurePosixPath(str(record.get("filename"))).stem),
            "file_name": record.get("filename"),
            "file_path": record.get("filepath", ""),
        }
        others = {key: value for key, value in record.items() if key not in _KARPATHY_KEYS}
        images.append(replace(_image({**others, **in_coco_keys}, captions, place), split=record["split"]))
    return _distinct(images, path)


def _json_with_images(path: Path, wanted: str) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); get it again.") from error
    if not isinstance(content, dict) or "images" not in content:
        raise InputError(f"{path} has no list `images`; give {wanted}.")
    return content


def _image(record: dict[str, Any], captions: Sequence[str], place: str) -> CaptionedImage:
    """An image from a record of COCO's keys; m-RNN's lists add the folder as `file_path`."""
    name, folder = record.get("file_name"), record.get("file_path", "")
    if not (isinstance(name, str) and name and isinstance(folder, str)):
        raise InputError(f"{place}: the file name is {brief(name)} in {brief(folder)} and no text; get the file again.")
    file = PurePosixPath(folder, name)
    if not is_plain_name(str(file)):
        raise InputError(f"{place}: the file name {brief(str(file))} has control characters; rename the file.")
    if file.is_absolute() or ".." in file.parts or "\\" in str(file):
        raise InputError(f"{place}: {file} leads out of the folder of the images; get the file from another source.")
    sizes = [record.get("width", 0), record.get("height", 0)]
    if not all(isinstance(size, int | np.integer) and size >= 0 for size in sizes):
        raise InputError(
            f"{place}: the size is {brief(sizes[0])} x {brief(sizes[1])} and no number of pixels; get the file again."
        )
    extras = {key: _json_value(value) for key, value in record.items() if key not in _KEYS}
    return CaptionedImage(
        plain_id(record.get("id"), place), str(file), int(sizes[0]), int(sizes[1]), tuple(captions), extras
    )


def _json_value(value: Any) -> Any:
    """NumPy arrays and scalars as the lists and numbers that JSON has; the rest as it is."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _list_of(kind: type[T], values: Any, place: str) -> list[T]:
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise InputError(f"{place}: a list of {kind.__name__} is looked for and not there; get the file again.")
    return values


def _distinct(images: list[CaptionedImage], path: Path) -> list[CaptionedImage]:
    """The images as they are, of which there must be some, and none twice."""
    if not images:
        raise InputError(f"{path} holds no images; get it again.")
    seen: set[str] = set()
    for image in images:
        if image.image_id in seen:
            raise InputError(f"{path} has image {image.image_id} twice; remove one of them.")
        seen.add(image.image_id)
    return images


Words = Callable[[str], Sequence[str]]
UNKNOWN_WORD = "UNK"  # neuraltalk2's


def write_anno_list(path: Path, images: Iterable[CaptionedImage], words: Words = str.split) -> None:
    """Writes an m-RNN `anno_list_*.npy`, which `np.load(path, allow_pickle=True).tolist()` opens.

    An image without captions has no `sentences`, as in the authors' list of test2014.
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


def write_coco_captions(path: Path, images: Iterable[CaptionedImage]) -> None:
    """Writes a COCO captions JSON file; annotations are numbered from 0 in the order of the images."""
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image in images:
        records.append({**_described(image), "file_name": image.file})
        annotations += [
            {"id": len(annotations) + number, "image_id": numbered(image.image_id), "caption": caption}
            for number, caption in enumerate(image.captions)
        ]
    write_json(path, {"images": records, "annotations": annotations})


def write_karpathy(path: Path, dataset: str, images: Iterable[CaptionedImage], words: Words = str.split) -> None:
    """Writes a Karpathy split JSON file (`dataset_coco.json` and the like); sizes are no part of it.

    `cocoid` is there where the image's id is not its file's name without the ending.
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


def write_neuraltalk2(
    path: Path, images: Sequence[CaptionedImage], vocabulary: Sequence[str], max_length: int, words: Words = str.split
) -> None:
    """Writes neuraltalk2's labels as `path`, an HDF5 file, and `.json` beside it; the pixels it held are left out.

    HDF5, all uint32: `labels` (captions, max_length), word numbers from 1, 0 after the end; `label_length` (captions,);
    `label_start_ix` and `label_end_ix` (images,), from 1 and inclusive. JSON: `ix_to_word`, `images`. The last word
    number is `UNK`, which words outside `vocabulary` get.

    Raises:
        InputError: an image has no caption, or a caption no word, which neuraltalk2 cannot train on.
    """
    numbers = {word: number for number, word in enumerate([*vocabulary, UNKNOWN_WORD], start=1)}
    captions = [[list(words(caption)) for caption in image.captions] for image in images]
    for image, of_image in zip(images, captions, strict=True):
        if not of_image or not all(of_image):
            raise InputError(f"{path}: image {image.image_id} has no caption, or one without words; leave it out.")
    flat = [caption[:max_length] for of_image in captions for caption in of_image]
    labels = np.zeros((len(flat), max_length), np.uint32)
    for row, caption in zip(labels, flat, strict=True):
        row[: len(caption)] = [numbers.get(word, numbers[UNKNOWN_WORD]) for word in caption]
    ends = np.cumsum([len(of_image) for of_image in captions])
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["labels"] = labels
        file["label_length"] = np.array([len(caption) for caption in flat], np.uint32)
        file["label_start_ix"] = (ends - [len(of_image) for of_image in captions] + 1).astype(np.uint32)
        file["label_end_ix"] = ends.astype(np.uint32)
    write_json(
        path.with_suffix(".json"),
        {
            "ix_to_word": {str(number): word for word, number in numbers.items()},
            "images": [
                {"id": numbered(image.image_id), "file_path": image.file, "split": image.split} for image in images
            ],
        },
    )


def _described(image: CaptionedImage) -> dict[str, Any]:
    """What COCO and m-RNN say of an image in the same way."""
    sizes = {"width": image.width, "height": image.height}
    return {**image.extras, "id": numbered(image.image_id), **{name: size for name, size in sizes.items() if size}}
