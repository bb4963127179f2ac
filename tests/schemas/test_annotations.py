"""Annotations: written, read and checked against their schema."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.annotations import SPLITS, AnnotatedImage, read_annotations, write_annotations
from schemas.errors import ArtifactError

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
IMAGES = st.builds(
    AnnotatedImage,
    image_id=TEXT.filter(bool),
    file=st.sampled_from(["a.jpg", "folder/a b.jpg", "é/..x/y..png"]),
    split=st.sampled_from(SPLITS),
    width=st.integers(0, 9),
    height=st.integers(0, 9),
    captions=st.lists(TEXT, max_size=3).map(tuple),
    extras=st.dictionaries(TEXT, st.integers() | TEXT, max_size=2),
)
RECORD = msgspec.structs.asdict(AnnotatedImage("1", "images/1.jpg", "train", 4, 3, ("a dog",), {"url": "x"}))


@given(st.lists(IMAGES, max_size=5))
def test_annotations_come_back_as_written_complete_and_by_split(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("annotations")
    counts = write_annotations(folder, images)
    assert list(read_annotations(folder)) == images
    for split in SPLITS:
        of_split = [image for image in images if image.split == split]
        assert list(read_annotations(folder, split)) == of_split
        assert counts[split] == len(of_split)


def test_split_lists_contain_file_names(tmp_path):
    images = [
        AnnotatedImage(str(n), f"images/{n}.jpg", split, 1, 1, ()) for n, split in enumerate(["val", "train", "val"])
    ]
    write_annotations(tmp_path, images)
    assert [(tmp_path / f"{split}.txt").read_text() for split in SPLITS] == ["1.jpg\n", "0.jpg\n2.jpg\n", ""]


def test_unlabeled_images_have_their_own_list_and_equal_names_differ_by_path(tmp_path):
    images = [
        AnnotatedImage("1", "a/1.jpg", "train", 1, 1, ("x",)),
        AnnotatedImage("2", "b/1.jpg", "unlabeled", 1, 1, ()),
    ]
    assert write_annotations(tmp_path, images) == {"train": 1, "val": 0, "test": 0, "unlabeled": 1}
    assert (tmp_path / "train.txt").read_text() == "a/1.jpg\n"
    assert (tmp_path / "unlabeled.txt").read_text() == "b/1.jpg\n"


def test_failing_generator_leaves_nothing(tmp_path):
    def images():
        yield AnnotatedImage("1", "1.jpg", "train", 1, 1, ())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_annotations(tmp_path, images())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../x.jpg"},
        {"file": "a/../../x.jpg"},
        {"file": "a/.."},
        {"file": "/etc/x.jpg"},
        {"file": "a\n/../x.jpg"},
        {"file": ""},
        {"image_id": ""},
        {"image_id": 7},
        {"split": "dev"},
        {"width": -1},
        {"height": 1.5},
        {"captions": "a dog"},
        {"captions": [1]},
        {"extras": []},
        {"more": 1},
    ],
    ids=str,
)
def test_invalid_record_is_named_by_line(tmp_path, change):
    lines = json.dumps(RECORD) + "\n" + json.dumps({**RECORD, **change}) + "\n"
    (tmp_path / "annotations.jsonl").write_text(lines)
    with pytest.raises(ArtifactError, match=r"annotations\.jsonl, line 2:"):
        list(read_annotations(tmp_path))


@pytest.mark.parametrize("field", sorted(RECORD.keys() - {"extras"}))
def test_fields_other_than_extras_are_required(tmp_path, field):
    record = {name: value for name, value in RECORD.items() if name != field}
    (tmp_path / "annotations.jsonl").write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match=field):
        list(read_annotations(tmp_path))


@pytest.mark.parametrize("line", ["7", "null", "[]", "{", '"text"'])
def test_malformed_record_is_an_artifact_error(tmp_path, line):
    (tmp_path / "annotations.jsonl").write_text(line + "\n")
    with pytest.raises(ArtifactError, match="line 1"):
        list(read_annotations(tmp_path))
