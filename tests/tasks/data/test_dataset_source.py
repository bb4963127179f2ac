"""A corpus that is on this disk already is used where it is, and known by what it holds."""

import luigi
import pytest
from PIL import Image

from schemas.annotations import read_annotations
from schemas.io.files import read_json
from tasks.data.download_dataset import DownloadDataset, dataset_root
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    lines = ["image,caption,split"]
    for number, split in enumerate(("train", "val", "test")):
        Image.new("L", (3, 2)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,a cat number {number},{split}")
    (folder / "captions.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def stage(data_dir, source):
    """Makes stages as the command line does with `--DownloadDataset-source`."""
    configuration = luigi.configuration.get_config()
    configuration.set("DownloadDataset", "source", str(source))
    yield lambda cls, **parameters: cls(dataset="custom", data_dir=str(data_dir), **parameters)
    configuration.remove_section("DownloadDataset")


def key(source, data_dir):
    return DownloadDataset(dataset="custom", data_dir=str(data_dir), source=str(source)).key


def test_nothing_is_copied(stage, source, run, data_dir):
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


def test_the_key_depends_on_what_lies_there(source, data_dir, tmp_path):
    def fresh_key():
        DownloadDataset.clear_instance_cache()
        return key(source, data_dir)

    first = fresh_key()
    assert fresh_key() == first
    captions = source / "captions.csv"
    captions.write_text(captions.read_text().replace("cat", "dog"))  # as long as before
    corrected = fresh_key()
    Image.new("L", (300, 200)).save(source / "3.png")
    added = fresh_key()
    source.rename(tmp_path / "elsewhere")
    DownloadDataset.clear_instance_cache()
    moved = key(tmp_path / "elsewhere", data_dir)
    assert len({first, corrected, added, moved}) == 4


def test_a_folder_that_is_not_there_fails_with_one_sentence(run, data_dir, tmp_path):
    assert not run(DownloadDataset(dataset="custom", data_dir=str(data_dir), source=str(tmp_path / "nowhere")))


def test_own_images_without_a_folder_fail(run, data_dir):
    download = DownloadDataset(dataset="custom", data_dir=str(data_dir))
    assert not run(download)
    assert not download.directory.joinpath("manifest.json").exists()
