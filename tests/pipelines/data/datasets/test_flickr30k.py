"""A small imitation of the Flickr30k archives."""

import io
import json
import tarfile
import zipfile

import pytest

from pipelines.data.dataset import Problems
from pipelines.data.datasets import find_dataset
from pipelines.data.download.unpack import unpack
from pipelines.data.prepare_annotations import annotate
from schemas.annotations import Record
from schemas.errors import InputError

NAMES = ["1000092795.jpg", "10002456.jpg", "1000268201.jpg", "1000344755.jpg"]


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def make_archives(folder):
    lines = [f"{name}#{k}\tTwo young guys , number {k} , in {name} ." for name in NAMES for k in range(5)]
    with tarfile.open(folder / "flickr30k.tar.gz", "w:gz") as archive:
        add(archive, "results_20130124.token", "\n".join([*lines, "404.jpg#0\tGone ."]).encode())
        add(archive, "readme.txt", b"Please cite")
    with tarfile.open(folder / "flickr30k-images.tar", "w") as archive:
        for name in [*NAMES, "5.jpg"]:
            add(archive, f"flickr30k-images/{name}", b"\xff\xd8")
    images = [
        {"filename": name, "imgid": 0, "sentids": [0], "split": split, "sentences": [{"raw": "A", "tokens": ["a"]}]}
        for name, split in zip(NAMES, ["train", "test", "val", "train"], strict=True)
    ]
    with zipfile.ZipFile(folder / "caption_datasets.zip", "w") as archive:
        archive.writestr("dataset_flickr30k.json", json.dumps({"images": images, "dataset": "flickr30k"}))


@pytest.fixture
def root(tmp_path):
    make_archives(tmp_path)
    for archive in find_dataset("flickr30k").archives:
        unpack(tmp_path / archive.name, tmp_path / "root", lambda fraction, message: None)
    return tmp_path / "root"


def splits_by(root, partition):
    images, _ = annotate(find_dataset("flickr30k"), root, lambda fraction, message: None, partition)
    return {image.image_id + ".jpg": image.split for image in images}


def test_records_and_dirt(root):
    problems = Problems()
    records = list(find_dataset("flickr30k").records(root, problems))
    assert [record.image_id + ".jpg" for record in records] == NAMES
    assert records[1] == Record(
        "10002456",
        "flickr30k-images/10002456.jpg",
        "",
        tuple(f"Two young guys , number {k} , in 10002456.jpg ." for k in range(5)),
    )
    assert [finding.message for finding in problems.findings] == [
        "results_20130124.token has 1 captions of 404.jpg, but there is no such image.",
        "results_20130124.token has no caption of 5.jpg.",
    ]


def test_karpathy_split(root):
    assert list(splits_by(root, "karpathy").values()) == ["train", "test", "val", "train"]


def test_split_lists_may_omit_the_ending(root):
    for split, names in {"train": ["10002456"], "val": ["1000268201.jpg"], "test": ["1000344755"]}.items():
        (root / f"{split}.txt").write_text("\n".join(names))
    assert splits_by(root, "lists") == {
        "10002456.jpg": "train",
        "1000268201.jpg": "val",
        "1000344755.jpg": "test",
    }


def test_flickr30k_has_no_own_split(root):
    with pytest.raises(InputError, match=r"Flickr30k .* 4 images that are in no split, .* set `partition`"):
        splits_by(root, "published")


def test_missing_images_are_named(root):
    (root / "flickr30k-images").rename(root.parent / "elsewhere")
    with pytest.raises(InputError, match=r"None of the 5 images .* unpack flickr30k-images\.tar"):
        list(find_dataset("flickr30k").records(root, Problems()))
