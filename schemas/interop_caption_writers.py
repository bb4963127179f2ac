"""Captions written in other people's formats; `schemas.interop_captions` reads them back, all but neuraltalk2's.

Where a format wants words, `words` cuts a caption into them. Files are written atomically.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np

from schemas.errors import InputError
from schemas.files import atomic_path, write_json
from schemas.interop_captions import CaptionedImage
from schemas.interop_writers import numbered, write_pickled_array

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
