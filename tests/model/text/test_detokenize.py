"""Captions for people, from tokens of either tokenizer."""

import pytest

from model.text.detokenize import detokenize, join_words
from model.text.ptb import ptb_tokens
from model.text.tokenizers import TOKENIZERS, tf_mrnn_words


@pytest.mark.parametrize("tokenize", TOKENIZERS.values())
@pytest.mark.parametrize(
    "text",
    [
        "a kitchen with a stove, a sink, and a refrigerator",
        "a man's t-shirt (red) is wet; is it?",
        'a sign says "stop" and "go"',
        "a dog's ball: 50% off!",
        "",
    ],
)
def test_detokenize_restores_the_text(tokenize, text):
    assert detokenize(tokenize(text)) == text


def test_detokenize_attaches_treebank_clitics():
    assert detokenize(["it", "does", "n't", "matter", ",", "they", "'re", "dogs"]) == "it doesn't matter, they're dogs"


@pytest.mark.parametrize(
    "text", ["a man in a t-shirt", "a dog's ball", "the black-and-white cat", "a man, a dog", "两只狗在草地上跑"]
)
def test_join_words_keeps_the_scored_tokens(text):
    assert ptb_tokens(join_words(tf_mrnn_words(text))) == ptb_tokens(text)
