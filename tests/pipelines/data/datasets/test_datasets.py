"""Properties of every dataset, and registration of a new module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.data.dataset import Dataset, Problems
from pipelines.data.datasets import DATASETS, find_dataset
from pipelines.data.prepare_annotations import annotate
from schemas.annotations import Record
from schemas.errors import ConfigurationError


def test_registry_lists_the_datasets() -> None:
    assert list(DATASETS) == ["coco2014", "custom", "flickr30k", "flickr8k", "iaprtc12", "shapes"]


@pytest.mark.parametrize("name", DATASETS)
def test_datasets_describe_themselves(name: str) -> None:
    dataset = find_dataset(name)
    assert dataset.title
    assert dataset.license.endswith(".")
    assert dataset.citation.endswith(".")
    for archive in dataset.archives:
        assert archive.urls
        assert all(url.endswith(f"/{archive.name}") for url in archive.urls)
        assert archive.sha256 is None or len(bytes.fromhex(archive.sha256)) == 32
    if dataset.archives:
        assert dataset.homepage.startswith("https://")
        assert (Path(__file__).parents[4] / "configs" / f"{name}.cfg").exists()


class TwoWords(Dataset):
    """One image per split."""

    title, homepage, license, citation = "Two words", "", "CC0 1.0", "Nobody (2020)."

    def records(self, root: Path, problems: Problems) -> Iterator[Record]:
        for split in ("train", "val", "test"):
            yield Record(split, f"{split}.jpg", split, ("two words",))


def test_dataset_registers_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "twowords", TwoWords())
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.jpg").touch()
    images, problems = annotate(find_dataset("twowords"), tmp_path, lambda fraction, message: None)
    assert [image.split for image in images] == ["train", "val", "test"]
    assert problems == []


def test_unknown_dataset_is_refused_with_the_available_ones() -> None:
    with pytest.raises(ConfigurationError, match="set `dataset` to one of coco2014, custom"):
        find_dataset("imagenet")
