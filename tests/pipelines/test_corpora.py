"""What holds for every corpus, and that one new module is one new corpus."""

from pathlib import Path

import pytest

import pipelines.datasets
from pipelines.annotate import annotate
from pipelines.datasets import corpus_names, find_corpus
from schemas.errors import ConfigurationError

NEW_CORPUS = '''
"""Two words: a corpus that states everything itself."""

from pipelines.datasets.base import Corpus, Record


class TwoWords(Corpus):
    """An image for each split."""

    title, homepage, licence, citation = "Two words", "", "CC0 1.0", "Nobody (2020)."

    def records(self, root, problems):
        for split in ("train", "val", "test"):
            yield Record(split, f"{split}.jpg", split, ("two words",))


CORPUS = TwoWords()
'''


def test_the_corpora_are_these() -> None:
    assert corpus_names() == ["coco2014", "custom", "flickr30k", "flickr8k", "iaprtc12", "shapes"]


@pytest.mark.parametrize("name", corpus_names())
def test_every_corpus_says_what_it_is(name: str) -> None:
    corpus = find_corpus(name)
    assert corpus.title
    assert corpus.licence.endswith(".")
    assert corpus.citation.endswith(".")
    for archive in corpus.archives:
        assert archive.urls
        assert all(url.endswith(f"/{archive.name}") for url in archive.urls)
        assert archive.sha256 is None or len(bytes.fromhex(archive.sha256)) == 32
    if corpus.archives:
        assert corpus.homepage.startswith("https://")
        assert (Path(__file__).parents[2] / "configs" / f"{name}.cfg").exists()


def test_one_new_file_is_a_new_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "twowords.py").write_text(NEW_CORPUS)
    monkeypatch.setattr(pipelines.datasets, "__path__", [*pipelines.datasets.__path__, str(tmp_path)])
    assert "twowords" in corpus_names()
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.jpg").touch()
    images, problems = annotate(find_corpus("twowords"), tmp_path, lambda fraction, message: None)
    assert [image.split for image in images] == ["train", "val", "test"]
    assert problems == []


def test_an_unknown_corpus_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="set `dataset` to one of coco2014, custom"):
        find_corpus("imagenet")
