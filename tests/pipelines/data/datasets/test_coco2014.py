"""A small imitation of the COCO 2014 archives: same names, nesting and keys."""

import json
import zipfile

import numpy as np
import pytest

from pipelines.data.dataset import Problems
from pipelines.data.datasets import find_dataset
from pipelines.data.download.unpack import unpack
from pipelines.data.prepare_annotations import annotate
from schemas.annotations import Record
from schemas.errors import InputError

IDS = {"train2014": [9, 25, 167126], "val2014": [42, 73, 74], "test2014": [1, 14]}


def name_of(folder, image_id):
    return f"COCO_{folder}_{image_id:012d}.jpg"


def image_record(folder, image_id):
    return {
        "license": 5,
        "file_name": name_of(folder, image_id),
        "coco_url": f"http://mscoco.org/images/{image_id}",
        "height": 480,
        "width": 640,
        "date_captured": "2013-11-19 20:40:11",
        "flickr_url": "http://farm5.staticflickr.com/1/1.jpg",
        "id": image_id,
    }


def make_archives(folder):
    head = {"info": {"description": "This is stable 1.0 version of the 2014 MS COCO dataset."}, "licenses": []}
    with zipfile.ZipFile(folder / "annotations_trainval2014.zip", "w") as archive:
        for year in ("train2014", "val2014"):
            images = [image_record(year, image_id) for image_id in IDS[year]]
            # Annotations come in an order of their own, and captions may end in a line break.
            annotations = [
                {"image_id": image_id, "id": 10 * image_id + k, "caption": f"Caption {k} of {image_id}.\n"}
                for k in range(5)
                for image_id in reversed(IDS[year])
            ]
            content = {**head, "type": "captions", "images": images, "annotations": annotations}
            archive.writestr(f"annotations/captions_{year}.json", json.dumps(content))
            archive.writestr(f"annotations/instances_{year}.json", json.dumps({**head, "images": images}))
    with zipfile.ZipFile(folder / "image_info_test2014.zip", "w") as archive:
        images = [image_record("test2014", image_id) for image_id in IDS["test2014"]]
        archive.writestr("annotations/image_info_test2014.json", json.dumps({**head, "images": images}))
    for year, ids in IDS.items():
        with zipfile.ZipFile(folder / f"{year}.zip", "w") as archive:
            archive.writestr(f"{year}/", "")
            for image_id in ids:
                archive.writestr(f"{year}/{name_of(year, image_id)}", b"\xff\xd8")
    with zipfile.ZipFile(folder / "caption_datasets.zip", "w") as archive:
        archive.writestr("dataset_coco.json", json.dumps(karpathy()))
        archive.writestr("dataset_flickr8k.json", "{}")


def karpathy():
    splits = {9: "train", 25: "train", 167126: "train", 42: "restval", 73: "val", 74: "test"}
    records = []
    for folder in ("val2014", "train2014"):
        for image_id in IDS[folder]:
            sentences = [{"tokens": ["a"], "raw": "A", "imgid": 0, "sentid": 0}]
            record = {"filepath": folder, "filename": name_of(folder, image_id), "cocoid": image_id, "sentids": [0]}
            records.append({**record, "imgid": 0, "split": splits[image_id], "sentences": sentences})
    return {"images": records, "dataset": "coco"}


@pytest.fixture
def root(tmp_path):
    make_archives(tmp_path)
    for archive in find_dataset("coco2014").archives:
        unpack(tmp_path / archive.name, tmp_path / "root", lambda fraction, message: None)
    return tmp_path / "root"


def splits_by(root, partition):
    images, problems = annotate(find_dataset("coco2014"), root, lambda fraction, message: None, partition)
    return {int(image.image_id): image.split for image in images}, [problem.message for problem in problems]


def test_records_of_the_three_sets(root):
    records = list(find_dataset("coco2014").records(root, Problems()))
    assert [int(record.image_id) for record in records] == [9, 25, 167126, 42, 73, 74, 1, 14]
    assert records[0] == Record(
        "9",
        "train2014/COCO_train2014_000000000009.jpg",
        "train",
        tuple(f"Caption {k} of 9.\n" for k in range(5)),
        {"license": 5, "flickr_url": "http://farm5.staticflickr.com/1/1.jpg"},
    )
    assert [record.split for record in records[3:]] == ["val", "val", "val", "unlabeled", "unlabeled"]
    assert records[-1].captions == ()


def test_mrnn_split_by_name_lists(root):
    lists = {"train": ("train2014", [9, 25]), "val": ("val2014", [42]), "test": ("val2014", [73])}
    for split, (folder, ids) in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{name_of(folder, image_id)}\n" for image_id in ids))
    splits, problems = splits_by(root, "lists")
    assert splits == {9: "train", 25: "train", 42: "val", 73: "test", 1: "unlabeled", 14: "unlabeled"}
    assert problems == ["2 images are left out, such as 167126, 74: they are in no list."]


def test_mrnn_split_by_annotation_lists(root, tmp_path):
    folder = tmp_path / "mscoco_anno_files"
    folder.mkdir()
    for part, (year, ids) in {
        "train": ("train2014", [9]),
        "modelVal": ("val2014", [42]),
        "trainModelVal": ("train2014", [9, 42]),
        "crVal": ("val2014", [73]),
        "test2014": ("test2014", [1]),
    }.items():
        records = [
            {"file_name": name_of(year, image_id), "file_path": year, "id": image_id, "height": 1, "width": 1}
            for image_id in ids
        ]
        np.save(folder / f"anno_list_mscoco_{part}_m_RNN.npy", np.array(records, object), allow_pickle=True)
    splits, _ = splits_by(root, f"lists:{folder}")
    assert splits == {9: "train", 42: "val", 73: "test", 1: "unlabeled", 14: "unlabeled"}


def test_karpathy_split(root):
    splits, problems = splits_by(root, "karpathy")
    assert [splits[image_id] for image_id in (9, 25, 167126, 42, 73, 74)] == ["train"] * 4 + ["val", "test"]
    assert problems == []


def test_test_split_without_captions(root):
    with pytest.raises(InputError, match=r"no image in the split 'test'; .* set `partition`"):
        splits_by(root, "published")


def test_missing_lists_are_one_sentence_with_the_remedy(root):
    with pytest.raises(InputError, match=r"no list train\.txt below .*root; put the published lists"):
        splits_by(root, "lists")


def test_test_images_may_be_absent(root):
    for image in (root / "test2014").iterdir():
        image.unlink()
    problems = Problems()
    assert len(list(find_dataset("coco2014").records(root, problems))) == 6
    assert [finding.message for finding in problems.findings] == [
        "image_info_test2014.json lists 2 images, none of which exists."
    ]
    (root / "annotations" / "image_info_test2014.json").unlink()
    assert len(list(find_dataset("coco2014").records(root, problems))) == 6


def test_missing_archives_are_named(root):
    (root / "val2014").rename(root.parent / "elsewhere")
    with pytest.raises(InputError, match=r"None of the 3 images .* unpack val2014\.zip"):
        list(find_dataset("coco2014").records(root, Problems()))
    (root / "annotations" / "captions_train2014.json").unlink()
    with pytest.raises(InputError, match=r"no captions_train2014\.json .* unpack annotations_trainval2014\.zip"):
        list(find_dataset("coco2014").records(root, Problems()))
