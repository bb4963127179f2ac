"""Captions in the formats of other projects, read by this project and by their tools."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.annotations import Record
from schemas.errors import InputError
from schemas.interop.captions import (
    read_anno_list,
    read_coco_captions,
    read_karpathy,
    write_anno_list,
    write_coco_captions,
    write_karpathy,
)

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
CAPTIONS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
FOLDERS = st.sampled_from(["", "val2014/", "a/b/"])
IMAGES = st.lists(
    st.builds(
        lambda folder, image_id, captions, size, extras, split: Record(
            image_id, f"{folder}{image_id}.jpg", split, tuple(captions), extras, *size
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
    Record("42", "val2014/COCO_val2014_000000000042.jpg", "val", ("A dog.", "Two  dogs"), {}, 640, 480),
    Record("a_1", "a_1.jpg", "test", ("One cat",)),
]


@given(IMAGES)
@settings(max_examples=50, deadline=None)
def test_writers_round_trip(tmp_path_factory: pytest.TempPathFactory, images: list[Record]) -> None:
    folder = tmp_path_factory.mktemp("captions")
    write_anno_list(folder / "anno_list.npy", images)
    assert read_anno_list(folder / "anno_list.npy") == [replace(image, split="") for image in images]
    write_coco_captions(folder / "coco.json", images)
    assert without_places(read_coco_captions(folder / "coco.json")) == [replace(image, split="") for image in images]
    write_karpathy(folder / "karpathy.json", "toys", images)
    karpathy = without_places(read_karpathy(folder / "karpathy.json"))
    assert karpathy == [replace(image, width=0, height=0) for image in images]


def without_places(images: list[Record]) -> list[Record]:
    assert all(len(image.places) == len(image.captions) for image in images)
    return [replace(image, places=()) for image in images]


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


def test_karpathy_file_contains_tokens_and_raw_text(tmp_path: Path) -> None:
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
        ({"sentences": [{"tokens": ["a"]}]}, r"images\[1\], sentences\[0\]: raw is None and no text"),
        ({"filename": None}, r"images\[1\]: the file name is None"),
        ({"filepath": "../.."}, "is outside the image directory"),
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
