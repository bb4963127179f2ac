"""Captions written in other people's formats: what we read back, and what their own tools see."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import InputError
from schemas.interop.captions import (
    CaptionedImage,
    read_anno_list,
    read_coco_captions,
    read_karpathy,
    write_anno_list,
    write_coco_captions,
    write_karpathy,
    write_neuraltalk2,
)

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
CAPTIONS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
FOLDERS = st.sampled_from(["", "val2014/", "a/b/"])
IMAGES = st.lists(
    st.builds(
        lambda folder, image_id, captions, size, extras, split: CaptionedImage(
            image_id, f"{folder}{image_id}.jpg", *size, tuple(captions), extras, split
        ),
        FOLDERS,
        st.integers(0, 10**6).map(str) | st.from_regex(r"[a-z]{1,8}_[0-9a-f]{1,8}", fullmatch=True),
        st.lists(CAPTIONS, max_size=3),
        st.tuples(st.integers(0, 999), st.integers(0, 999)),
        st.dictionaries(st.sampled_from(["url", "license"]), st.integers() | st.text(max_size=5)),
        st.sampled_from(["train", "restval", "val", "test"]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda image: image.image_id,
)
TWO = [
    CaptionedImage("42", "val2014/COCO_val2014_000000000042.jpg", 640, 480, ("A dog.", "Two  dogs"), {}, "val"),
    CaptionedImage("a_1", "a_1.jpg", 0, 0, ("One cat",), {}, "test"),
]


@given(IMAGES)
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, images: list[CaptionedImage]) -> None:
    folder = tmp_path_factory.mktemp("captions")
    write_anno_list(folder / "anno_list.npy", images)
    assert read_anno_list(folder / "anno_list.npy") == [replace(image, split="") for image in images]
    write_coco_captions(folder / "coco.json", images)
    assert read_coco_captions(folder / "coco.json") == [replace(image, split="") for image in images]
    write_karpathy(folder / "karpathy.json", "toys", images)
    assert read_karpathy(folder / "karpathy.json") == [replace(image, width=0, height=0) for image in images]


def test_anno_list_is_opened_by_numpy(tmp_path: Path) -> None:
    write_anno_list(tmp_path / "anno_list.npy", [*TWO, replace(TWO[1], image_id="7", captions=())])
    first, second, third = np.load(tmp_path / "anno_list.npy", allow_pickle=True).tolist()
    assert first == {
        "id": 42,
        "file_name": "COCO_val2014_000000000042.jpg",
        "file_path": "val2014",
        "width": 640,
        "height": 480,
        "sentences": [["A", "dog."], ["Two", "dogs"]],
    }
    assert second == {"id": "a_1", "file_name": "a_1.jpg", "file_path": "", "sentences": [["One", "cat"]]}
    assert "sentences" not in third


def test_coco_annotations_are_numbered(tmp_path: Path) -> None:
    write_coco_captions(tmp_path / "coco.json", TWO)
    assert json.loads((tmp_path / "coco.json").read_text())["annotations"] == [
        {"id": 0, "image_id": 42, "caption": "A dog."},
        {"id": 1, "image_id": 42, "caption": "Two  dogs"},
        {"id": 2, "image_id": "a_1", "caption": "One cat"},
    ]


def test_karpathy_has_words_beside_the_raw_text(tmp_path: Path) -> None:
    write_karpathy(tmp_path / "dataset_coco.json", "coco", TWO, words=lambda caption: caption.lower().split())
    content = json.loads((tmp_path / "dataset_coco.json").read_text())
    assert content["dataset"] == "coco"
    first, second = content["images"]
    assert (first["cocoid"], first["filepath"], first["filename"]) == (42, "val2014", "COCO_val2014_000000000042.jpg")
    assert first["sentids"] == [0, 1] and second["sentids"] == [2]
    assert first["sentences"][1] == {"tokens": ["two", "dogs"], "raw": "Two  dogs", "imgid": 0, "sentid": 1}
    assert "cocoid" not in second and "filepath" not in second


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": None}, r"images\[1\]: the split is None"),
        ({"sentences": None}, r"images\[1\], sentences: a list of dict"),
        ({"sentences": [{"tokens": ["a"]}]}, r"images\[1\], sentences: a list of str"),
        ({"filename": None}, r"images\[1\]: the file name is None"),
        ({"filepath": "../.."}, "leads out of the folder"),
        ({"cocoid": 42}, "has image 42 twice"),
    ],
)
def test_malformed_karpathy_files(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "dataset_coco.json"
    write_karpathy(path, "coco", TWO)
    content = json.loads(path.read_text())
    content["images"][1].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_karpathy(path)


def decode_neuraltalk2(path: Path) -> dict[object, list[list[str]]]:
    """As neuraltalk2's loader reads its labels: indices from 1, both ends inclusive."""
    content = json.loads(path.with_suffix(".json").read_text())
    with h5py.File(path) as file:
        assert {dataset.dtype for dataset in file.values()} == {np.dtype(np.uint32)}
        captions = {}
        for index, image in enumerate(content["images"]):
            first, last = int(file["label_start_ix"][index]), int(file["label_end_ix"][index])
            captions[image["id"]] = [
                [content["ix_to_word"][str(number)] for number in file["labels"][row][: file["label_length"][row]]]
                for row in range(first - 1, last)
            ]
            for row in range(first - 1, last):
                assert not file["labels"][row][file["label_length"][row] :].any()
    return captions


def test_neuraltalk2_labels(tmp_path: Path) -> None:
    write_neuraltalk2(tmp_path / "talk.h5", TWO, ["A", "dogs", "One"], max_length=2)
    assert decode_neuraltalk2(tmp_path / "talk.h5") == {42: [["A", "UNK"], ["UNK", "dogs"]], "a_1": [["One", "UNK"]]}
    write_neuraltalk2(tmp_path / "talk.h5", TWO, ["A", "dogs", "One"], max_length=1)
    assert decode_neuraltalk2(tmp_path / "talk.h5") == {42: [["A"], ["UNK"]], "a_1": [["One"]]}
    assert json.loads((tmp_path / "talk.json").read_text())["images"][0]["split"] == "val"


@pytest.mark.parametrize("captions", [(), (" ",)])
def test_neuraltalk2_wants_captions(tmp_path: Path, captions: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="image a_1 has no caption"):
        write_neuraltalk2(tmp_path / "talk.h5", [TWO[0], replace(TWO[1], captions=captions)], ["A"], max_length=9)
    assert list(tmp_path.iterdir()) == []
