"""Tokenizers of captions for training; `model.text.ptb` has the one for scoring."""

import re
import unicodedata
from collections.abc import Callable

import regex
from nltk.tokenize import TreebankWordTokenizer

# One emoji of any number of code points: flags, keycaps, skin colors, families joined by U+200D.
_EMOJI = (
    r"\p{RI}\p{RI}|[0-9#*]\uFE0F?\u20E3"
    r"|\p{Extended_Pictographic}[\p{EMod}\uFE0E\uFE0F]*(?:\u200D\p{Extended_Pictographic}[\p{EMod}\uFE0E\uFE0F]*)*"
)
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\u30FC]"  # scripts without blanks: a character is a word
_WORD = r"[\w\p{No}]"  # vowel signs and joiners of other scripts are parts of words, as in Unicode's UTS 18
_PIECES = regex.compile(
    rf"{_EMOJI}|{_UNSPACED}\p{{M}}*|(?:(?!{_UNSPACED}){_WORD})+|(?:(?!{_EMOJI}|{_UNSPACED}|{_WORD}).)+", regex.DOTALL
)
_ASCII_PIECES = re.compile(r"\w+|\W+")
_TREEBANK = TreebankWordTokenizer()


def tf_mrnn_words(text: str) -> list[str]:
    r"""Tokenize as TF-mRNN: split on `(\W+)`, strip, lower-case, drop a final full stop (py_lib/common_utils.py).

    Beyond ASCII, which that rule does not cover, combining marks belong to their word; an emoji is a token, and so is a
    character of a script without blanks between words (Chinese, Japanese).
    """
    # The pattern for ASCII finds the same pieces eight times as fast.
    find = _ASCII_PIECES if text.isascii() else _PIECES
    pieces = find.findall(unicodedata.normalize("NFC", text).lower())
    words = ["".join(piece.split()) for piece in pieces if not piece.isspace()]
    return words[:-1] if words and words[-1] == "." else words


def treebank_words(text: str) -> list[str]:
    """Tokenize as the Penn Treebank (nltk), in lower case, and drop a final full stop."""
    words: list[str] = _TREEBANK.tokenize(unicodedata.normalize("NFC", text).lower())
    return words[:-1] if words and words[-1] == "." else words


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"tf-mrnn": tf_mrnn_words, "treebank": treebank_words}
