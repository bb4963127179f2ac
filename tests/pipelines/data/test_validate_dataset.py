"""A corpus looked over: everything that is wrong is named, and what is well is described."""

import shutil

import pytest

from pipelines.data.datasets import find_dataset
from pipelines.data.datasets.shapes import Shapes
from pipelines.data.validate_dataset import validate


def look(root, partition="", max_images=0):
    return validate(find_dataset("custom"), root, partition, "tf-mrnn", max_images, lambda fraction, message: None)


@pytest.fixture
def root(tmp_path):
    Shapes().generate(tmp_path, seed=0, images=24, progress=lambda fraction, message: None)
    return tmp_path


def add_line(root, line):
    with open(root / "captions.jsonl", "a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def test_what_is_well_has_no_errors_and_is_described(root):
    found = look(root)
    assert found.errors == found.remarks == []
    assert found.partition == "published"
    assert "train: 18 images, 90 captions" in found.facts
    assert "captions an image: 5 to 5, mean 5.0, median 5" in found.facts
    assert "width: 96 to 96, mean 96.0, median 96 pixels; height: 96 to 96, mean 96.0, median 96 pixels" in found.facts


def test_every_error_is_named_not_only_the_first(root):
    add_line(root, '{"image": "gone.png", "caption": "x", "split": "train"}')
    add_line(root, '{"image": "images/shapes_00000.png"')
    (root / "images" / "shapes_00005.png").write_bytes(b"no picture")
    (root / "images" / "shapes_00006.png").write_bytes(b"")
    errors = look(root).errors
    assert [error.split("/")[-1].split(":")[0] for error in errors[:1]] == ["captions.jsonl, line 25"]
    assert "captions.jsonl, line 26, is not JSON" in errors[1]
    assert sorted(error.partition(": ")[2] for error in errors[2:]) == [
        "the file is empty; replace the file or remove its captions.",
        "the file is not an image in a known format; replace the file or remove its captions.",
    ]


def test_a_copy_in_another_split_is_remarked(root):
    split = next(record.split for record in find_dataset("shapes").records(root, []))
    shutil.copy(root / "images" / "shapes_00000.png", root / "images" / "copy.png")
    other = "val" if split != "val" else "test"
    add_line(root, f'{{"image": "images/copy.png", "caption": "a thing", "split": "{other}"}}')
    found = look(root)
    assert found.errors == []
    (remark,) = found.remarks
    assert f"images/copy.png ({other})" in remark
    assert f"images/shapes_00000.png ({split})" in remark
    assert "look alike: 0 of 64 bits" in remark


def test_repeated_captions_and_images_without_are_remarked(root):
    add_line(root, '{"image": "images/shapes_00001.png", "captions": ["so", "so"], "split": "train"}')
    shutil.copy(root / "images" / "shapes_00000.png", root / "images" / "extra.png")
    remarks = "\n".join(look(root).remarks)
    assert "has the caption 'so' more than once" in remarks
    assert "1 of 25 images have no caption, such as images/extra.png." in remarks


def test_without_splits_a_tenth_each_is_drawn(tmp_path, root):
    lines = (root / "captions.jsonl").read_text().replace('"split"', '"was"')
    (root / "captions.jsonl").write_text(lines)
    found = look(root)
    assert found.errors == []
    assert found.partition == "random:2:2:0"
    assert "val: 2 images, 10 captions" in found.facts


def test_the_work_on_images_is_bounded_and_small_splits_come_first(root):
    validated = next(each.file for each in find_dataset("shapes").records(root, []) if each.split == "val")
    (root / validated).write_bytes(b"x")
    found = look(root, max_images=6)
    assert len(found.errors) == 1
    assert "6 of 24 images were opened; --max-images 0 opens all" in found.facts


def test_a_partition_without_test_images_is_an_error(root):
    assert "leaves none for training" in look(root, "random:20:20:0").errors[0]
    lines = (root / "captions.jsonl").read_text().replace('"split":"test"', '"split":"train"')
    (root / "captions.jsonl").write_text(lines)
    assert look(root, "published").errors == ["There is no image in the split 'test'; choose another `partition`."]


def test_a_folder_without_captions_is_one_error(tmp_path):
    assert [error.partition(" below ")[0] for error in look(tmp_path).errors] == ["There are no captions"]
