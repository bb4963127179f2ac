"""Annotations: images and captions that are left out are reported, and digests depend on what is used."""

import json
import os

import pytest
from PIL import Image

from pipelines.data.dataset import Dataset
from pipelines.data.datasets import find_dataset
from pipelines.data.prepare_annotations import annotate, digest_dataset
from schemas.annotations import Record
from schemas.errors import InputError
from schemas.io import digests as digests_module


class Listed(Dataset):
    """A dataset of the given records."""

    title, homepage, license, citation = "Listed", "", "", ""

    def __init__(self, *records):
        self._records = records

    def records(self, root, problems):
        problems.remark("remarks", "A remark of the dataset.")
        yield from self._records


def record(name, split, captions=("a cat",)):
    return Record(name.split(".")[0], name, split, captions)


WHOLE = (record("a.png", "train"), record("b.png", "val"), record("c.png", "test"))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "abc":
        Image.new("L", (30, 20)).save(folder / f"{name}.png")
    return folder


def look(dataset, root, limit=1.0):
    images, findings = annotate(dataset, root, lambda fraction, message: None, max_invalid_fraction=limit)
    return images, [finding.message for finding in findings]


def test_sizes_are_looked_up(root):
    images, messages = look(Listed(*WHOLE), root)
    assert [(image.image_id, image.width, image.height) for image in images] == [(i, 30, 20) for i in "abc"]
    assert messages == ["A remark of the dataset."]


def test_images_without_a_file_are_left_out(root):
    images, messages = look(Listed(*WHOLE, record("gone.png", "train")), root)
    assert len(images) == 3
    assert messages[1:] == ["Image gone is left out: there is no file gone.png."]


def test_invalid_captions_are_left_out_up_to_a_fraction(root):
    records = (*WHOLE[:2], Record("c", "c.png", "test", ("a cow", " . ", "..."), places=("f, 1", "f, 2", "f, 3")))
    images, messages = look(Listed(*records), root, limit=0.4)
    assert images[-1].captions == ("a cow",)
    assert messages[1:] == [
        "f, 2: the caption ' . ' of c.png has no word; write or remove it.",
        "f, 3: the caption '...' of c.png has no word; write or remove it.",
    ]
    with pytest.raises(InputError, match=r"2 of 5 captions are invalid, .* 0\.39 of .* f, 2"):
        look(Listed(*records), root, limit=0.39)


def test_image_with_invalid_captions_only_is_omitted(root):
    Image.new("L", (30, 20)).save(root / "d.png")
    images, messages = look(Listed(*WHOLE, record("d.png", "train", (".", ""))), root)
    assert [image.image_id for image in images] == ["a", "b", "c"]
    assert messages[-1] == "Image d is left out: it has no caption."


def test_unlabeled_images_need_no_caption(root):
    Image.new("L", (30, 20)).save(root / "u.png")
    images, messages = look(Listed(*WHOLE, record("u.png", "unlabeled", ())), root)
    assert (images[-1].split, images[-1].captions) == ("unlabeled", ())
    assert len(messages) == 1


def test_unreadable_image_has_size_zero(root):
    (root / "bad.png").write_bytes(b"no image")
    images, _ = look(Listed(*WHOLE, record("bad.png", "train")), root)
    assert (images[-1].width, images[-1].height) == (0, 0)


def test_duplicate_id_is_an_error(root):
    with pytest.raises(InputError, match="has image a twice"):
        look(Listed(*WHOLE, record("a.png", "val")), root)


def test_empty_split_is_an_error(root):
    with pytest.raises(InputError, match="no image in the split 'test'"):
        look(Listed(*WHOLE[:2]), root)


@pytest.fixture
def custom(root):
    lines = [{"image": f"{name}.png", "caption": f"a cat {name}", "split": "train"} for name in "abc"]
    (root / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return root


def digests(root):
    found = digest_dataset(find_dataset("custom"), root, "published", root.parent / "cache.sqlite")
    assert found is not None
    return found.images, found.annotations


def test_digests_ignore_irrelevant_files(custom):
    first = digests(custom)
    (custom / "README.txt").write_text("Read me")
    Image.new("L", (1, 1)).save(custom / "unused.png")
    os.utime(custom / "a.png", (1, 1))
    assert digests(custom) == first


def test_corrected_caption_changes_annotations_only(custom):
    first = digests(custom)
    path = custom / "captions.jsonl"
    path.write_text(path.read_text().replace("a cat b", "a cow b"))
    corrected = digests(custom)
    assert corrected[0] == first[0]
    assert corrected[1] != first[1]


def test_replaced_image_changes_both_digests(custom):
    first = digests(custom)
    data = (custom / "a.png").read_bytes()
    (custom / "a.png").write_bytes(data[:-1] + b"\0")
    replaced = digests(custom)
    assert replaced[0] != first[0]
    assert replaced[1] != first[1]


def test_unchanged_images_are_read_once(custom, monkeypatch):
    first = digests(custom)
    read = []
    original = digests_module.digest_file
    monkeypatch.setattr(digests_module, "digest_file", lambda path: read.append(path.name) or original(path))
    assert digests(custom) == first
    assert read == []
    (custom / "b.png").write_bytes((custom / "a.png").read_bytes())
    digests(custom)
    assert read == ["b.png"]
    (custom.parent / "cache.sqlite").write_bytes(b"no database")
    digests(custom)
    assert sorted(read[1:]) == ["a.png", "b.png", "c.png"]


def test_unreadable_dataset_has_no_digests(root):
    assert digest_dataset(find_dataset("custom"), root, "published", root.parent / "cache.sqlite") is None
