"""Conversion of tokens to text."""

import re
from collections.abc import Iterable

import regex

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\u30FC]"  # scripts without spaces between words
_WORD = r"[\w\p{No}]"
_INNER_MARK = regex.compile(rf"(?<={_WORD}) ([-'’]) (?={_WORD})")
_BETWEEN_UNSPACED = regex.compile(rf"(?<={_UNSPACED}\p{{M}}*) (?={_UNSPACED})")
_QUOTED = re.compile(r"(?:\"|``) (.+?) (?:\"|'')")
_BEFORE_MARK = re.compile(r" (?=[,.;:!?%)\]}…]|(?:n't|'(?:s|m|d|re|ve|ll))(?: |$))")
_AFTER_BRACKET = re.compile(r"(?<=[(\[{]) ")


def join_words(words: Iterable[str]) -> str:
    """Join tokens into a caption that is scored like the text they came from.

    Hyphens and apostrophes inside words are closed up (`t-shirt`, `dog's`), and so are scripts without spaces.
    """
    return str(_BETWEEN_UNSPACED.sub("", _INNER_MARK.sub(r"\1", " ".join(words))))


def detokenize(tokens: Iterable[str]) -> str:
    """Join tokens into a caption for people: `a kitchen with a stove, a sink, and a refrigerator`."""
    text = _QUOTED.sub(r'"\1"', join_words(tokens))
    return _AFTER_BRACKET.sub("", _BEFORE_MARK.sub("", text))
