"""Captions become word ids; the vocabulary is that of the training captions."""

import pytest

from pipelines.tokenise import tokenise
from schemas.annotations import AnnotatedImage
from schemas.captions import read_captions
from schemas.errors import ConfigurationError, InputError
from schemas.files import read_json_lines
from schemas.vocabulary import UNK, Vocabulary


def image(image_id, split, *captions):
    return AnnotatedImage(image_id, f"{image_id}.png", split, 1, 1, captions)


IMAGES = [
    image("a", "train", "A cat sits.", "The cat, a cat!"),
    image("b", "val", "A dog sits."),
    image("c", "test", "A cat"),
]


def test_words_seen_too_rarely_in_training_are_unknown(tmp_path):
    counts = tokenise(IMAGES, "tf-mrnn", 2, tmp_path)
    vocabulary = Vocabulary.read(tmp_path / "vocabulary.txt")
    assert vocabulary.words == ("<pad>", "<unk>", "<bos>", "cat", "a")
    captions = read_captions(tmp_path / "captions.h5", "val", vocabulary)
    assert captions[0].tolist() == [4, UNK, UNK]
    assert counts["val"] == {"captions": 1, "words": 3, "unknown_share": 0.66667}
    assert counts["train"]["captions"] == 2


def test_raw_tokens_are_kept(tmp_path):
    tokenise(IMAGES, "treebank", 1, tmp_path)
    first = next(read_json_lines(tmp_path / "tokens.jsonl"))
    assert first == {
        "image_id": "a",
        "split": "train",
        "tokens": [["a", "cat", "sits"], ["the", "cat", ",", "a", "cat", "!"]],
    }


def test_a_caption_without_a_word_is_an_error_that_names_it(tmp_path):
    with pytest.raises(InputError, match=r"Caption 1 of image d, '\.', has no word"):
        tokenise([*IMAGES, image("d", "train", "A cow", ".")], "tf-mrnn", 1, tmp_path)


def test_an_unknown_tokeniser_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="no tokeniser 'spaces'"):
        tokenise(IMAGES, "spaces", 1, tmp_path)
