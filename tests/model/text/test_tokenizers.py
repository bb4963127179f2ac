"""Tokens of captions, by each tokenizer."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text.ptb import ptb_tokens
from model.text.tokenizers import TOKENIZERS, tf_mrnn_words, treebank_words

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
        ("½ of a pizza, $5", ["½", "of", "a", "pizza", ",$", "5"]),
        ("एक हिन्दी वाक्य", ["एक", "हिन्दी", "वाक्य"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("Ein Straßencafé; schön.", ["ein", "straßencafé", ";", "schön"]),
        ("Собака бежит.", ["собака", "бежит"]),
        ("犬が走る。", ["犬", "が", "走", "る", "。"]),
        ("2只狗 run", ["2", "只", "狗", "run"]),
        ("dog 🐶🐶!", ["dog", "🐶", "🐶", "!"]),
        ("👩‍👧 ❤️ 🇫🇷 1️⃣ 👍🏽.", ["👩‍👧", "❤️", "🇫🇷", "1️⃣", "👍🏽"]),
        ("", []),
        (".", []),
    ],
)
def test_tf_mrnn_rule(text, words):
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
def test_treebank_rule(text, words):
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
def test_scoring_rule_drops_punctuation(text, words):
    assert ptb_tokens(text) == words


@pytest.mark.parametrize("tokenize", TOKENIZERS.values())
@given(text=TEXT)
def test_words_are_never_empty_and_hold_no_white_space(tokenize, text):
    for word in tokenize(text):
        assert word.split() == [word]


def published_rule(text):
    """The rule as TF-mRNN states it."""
    pieces = ["".join(piece.split()) for piece in re.split(r"(\W+)", text.lower()) if piece.strip()]
    return pieces[:-1] if pieces and pieces[-1] == "." else pieces


@given(st.text(st.characters(max_codepoint=126)))
def test_ascii_rule_applies_beside_other_characters(text):
    assert tf_mrnn_words(text) == published_rule(text)
    assert tf_mrnn_words(f"{text} é") == published_rule(f"{text} é")


@pytest.mark.parametrize("tokenize", TOKENIZERS.values())
@given(text=TEXT)
def test_tokenization_is_independent_of_unicode_composition(tokenize, text):
    assert tokenize(unicodedata.normalize("NFD", text)) == tokenize(unicodedata.normalize("NFC", text))
