"""Datasets in a directory of the user: used in place, keyed by content."""

import pytest
from PIL import Image

from schemas.annotations import read_annotations
from schemas.errors import ConfigurationError
from schemas.io.files import read_json, read_json_lines
from schemas.provenance import read_provenance
from tasks.data.download_dataset import DownloadDataset, dataset_root
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions


def test_source_directory_is_not_copied(stage, source, run, data_dir):
    download = stage(DownloadDataset)
    assert run(download)
    assert dataset_root(download.directory) == source
    assert read_json(download.directory / "manifest.json")["archives"] == []
    assert not list(data_dir.rglob("*.png"))


def test_annotations_come_from_there(stage, run):
    tokenized = stage(TokenizeCaptions, min_count=1)
    assert run(tokenized)
    images = list(read_annotations(stage(PrepareAnnotations).directory))
    assert [(image.file, image.split, image.width) for image in images] == [
        ("0.png", "train", 3),
        ("1.png", "val", 3),
        ("2.png", "test", 3),
    ]


def fresh_keys(stage):
    DownloadDataset.clear_instance_cache()
    return stage(DownloadDataset).key, stage(PrepareAnnotations).key


def test_keys_depend_on_the_relevant_content(stage, source, monkeypatch):
    first = fresh_keys(stage)
    (source / "README.txt").write_text("Read me")
    Image.new("L", (300, 200)).save(source / "3.png")  # without captions
    assert fresh_keys(stage) == first
    captions = source / "captions.csv"
    captions.write_text(captions.read_text().replace("cat", "dog"))  # as long as before
    corrected = fresh_keys(stage)
    assert corrected[0] == first[0]
    assert corrected[1] != first[1]
    data = (source / "0.png").read_bytes()
    (source / "0.png").write_bytes(data[:-1] + b"\0")
    assert fresh_keys(stage)[1] not in (first[1], corrected[1])


def test_download_key_does_not_read_files(stage, monkeypatch):
    monkeypatch.setattr("os.walk", None)
    monkeypatch.setattr("pathlib.Path.stat", None)
    assert stage(DownloadDataset).key


def test_moved_dataset_has_other_keys(source, data_dir, tmp_path):
    def key(folder):
        return DownloadDataset(dataset="custom", data_dir=str(data_dir), source=str(folder)).key

    assert key(source) != key(tmp_path / "elsewhere")


def test_invalid_captions_are_listed_and_counted(stage, source, run):
    with open(source / "captions.csv", "a") as stream:
        stream.writelines(f"\n0.png,a cat number {number},train" for number in range(200))
        stream.write("\n0.png,.,train" * 3)
    assert not run(stage(PrepareAnnotations))
    annotations = stage(PrepareAnnotations, max_invalid_fraction=0.02)
    assert run(annotations)
    rejects = list(read_json_lines(annotations.directory / "rejects.jsonl"))
    assert [reject["kind"] for reject in rejects] == ["captions without a word"] * 3
    assert "captions.csv, line 205: the caption '.' of 0.png has no word" in rejects[0]["message"]
    problems = (annotations.directory / "problems.txt").read_text()
    assert problems == "".join(reject["message"] + "\n" for reject in rejects)
    assert read_provenance(annotations.directory).counts["invalid_captions"] == 3


def test_missing_directory_is_one_sentence(run, data_dir, tmp_path):
    assert not run(DownloadDataset(dataset="custom", data_dir=str(data_dir), source=str(tmp_path / "nowhere")))


def test_own_images_without_a_directory_fail(run, data_dir):
    download = DownloadDataset(dataset="custom", data_dir=str(data_dir))
    assert not run(download)
    assert not download.directory.joinpath("manifest.json").exists()


def test_directory_name_outside_utf8_is_refused(data_dir, tmp_path):
    download = DownloadDataset(dataset="custom", data_dir=str(data_dir), source=str(tmp_path / "caf\udce9"))
    with pytest.raises(ConfigurationError, match=r"caf\\udce9 is not UTF-8; rename it"):
        _ = download.key
