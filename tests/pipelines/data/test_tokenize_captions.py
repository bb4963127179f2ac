"""Captions become token ids; the vocabulary is that of the training captions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text.tokenizers import TOKENIZERS
from pipelines.data.files import has_word
from pipelines.data.tokenize_captions import tokenize
from schemas.annotations import AnnotatedImage
from schemas.captions import read_captions
from schemas.errors import ConfigurationError, InputError
from schemas.io.files import read_json, read_json_lines
from schemas.vocabulary import UNK, Vocabulary


def image(image_id, split, *captions):
    return AnnotatedImage(image_id, f"{image_id}.png", split, 1, 1, captions)


IMAGES = [
    image("a", "train", "A cat sits.", "The cat, a cat!"),
    image("b", "val", "A dog sits."),
    image("c", "test", "A cat"),
]


def test_words_seen_too_rarely_in_training_are_unknown(tmp_path):
    counts = tokenize(IMAGES, "tf-mrnn", 2, tmp_path)
    vocabulary = Vocabulary.read(tmp_path / "vocabulary.txt")
    assert vocabulary.words == ("<pad>", "<unk>", "<bos>", "cat", "a")
    captions = read_captions(tmp_path / "captions.h5", "val", vocabulary)
    assert captions[0].tolist() == [4, UNK, UNK]
    assert counts["val"] == {
        "captions": 1,
        "words": 3,
        "unknown_share": 0.66667,
        "distinct_words": 3,
        "distinct_covered": 0.33333,
        "captions_covered": 0.0,
    }
    assert read_json(tmp_path / "coverage.json") == {split: counts[split] for split in ("train", "val", "test")}
    assert counts["train"]["captions"] == 2


def test_raw_tokens_are_kept(tmp_path):
    tokenize(IMAGES, "treebank", 1, tmp_path)
    first = next(read_json_lines(tmp_path / "tokens.jsonl"))
    assert first == {
        "image_id": "a",
        "split": "train",
        "tokens": [["a", "cat", "sits"], ["the", "cat", ",", "a", "cat", "!"]],
    }


def test_caption_without_a_token_is_named(tmp_path):
    with pytest.raises(InputError, match=r"Caption 1 of image d, '\.', has no token"):
        tokenize([*IMAGES, image("d", "train", "A cow", ".")], "tf-mrnn", 1, tmp_path)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@given(text=st.text(max_size=20))
def test_caption_with_a_letter_has_a_token(tokenizer, text):
    assert TOKENIZERS[tokenizer](text) or not has_word(text)


def test_images_without_public_captions_are_in_no_count(tmp_path):
    counts = tokenize([*IMAGES, image("u", "unlabeled")], "tf-mrnn", 1, tmp_path)
    assert set(counts) == {"vocabulary", "train", "val", "test"}
    captions = read_captions(tmp_path / "captions.h5", "unlabeled", Vocabulary.read(tmp_path / "vocabulary.txt"))
    assert (captions.image_ids, len(captions)) == (["u"], 0)


def test_unknown_tokenizer_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="no tokenizer 'spaces'"):
        tokenize(IMAGES, "spaces", 1, tmp_path)
