"""Words of captions, by each of the rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.ptb import ptb_words
from model.tokenisation import TOKENISERS, join_words, tf_mrnn_words, treebank_words

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog runs.", ["a", "dog", "runs"]),
        ("A dog, running", ["a", "dog", ",", "running"]),
        ("the man's T-shirt", ["the", "man", "'", "s", "t", "-", "shirt"]),
        ("  two   dogs \n run ", ["two", "dogs", "run"]),
        ("Wait. Stop.", ["wait", ".", "stop"]),
        ("He said no!", ["he", "said", "no", "!"]),
        ("cafe\u0301 au lait", ["caf\u00e9", "au", "lait"]),
        ("", []),
        (".", []),
    ],
)
def test_the_rule_of_tf_mrnn(text, words):
    assert tf_mrnn_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog runs.", ["a", "dog", "runs"]),
        ("the man's T-shirt", ["the", "man", "'s", "t-shirt"]),
        ("It isn't, is it?", ["it", "is", "n't", ",", "is", "it", "?"]),
        ("", []),
    ],
)
def test_the_rule_of_the_treebank(text, words):
    assert treebank_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog, running!", ["a", "dog", "running"]),
        ("the man's T-shirt - red; blue...", ["the", "man", "'s", "t-shirt", "red", "blue"]),
        ("two\ndogs .", ["two", "dogs"]),
        ("...", []),
    ],
)
def test_the_rule_of_scoring_drops_punctuation(text, words):
    assert ptb_words(text) == words


@pytest.mark.parametrize("tokenise", [*TOKENISERS.values(), ptb_words])
@given(text=TEXT)
def test_words_are_never_empty_and_hold_no_white_space(tokenise, text):
    for word in tokenise(text):
        assert word.split() == [word]


@pytest.mark.parametrize("text", ["a man in a t-shirt", "a dog's ball", "the black-and-white cat", "a man, a dog"])
def test_joined_words_are_scored_as_they_were_written(text):
    assert ptb_words(join_words(tf_mrnn_words(text))) == ptb_words(text)
