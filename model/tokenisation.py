"""From a caption's text to its words: the rules for training; `model.ptb` has the one for scoring."""

import re
import unicodedata
from collections.abc import Callable, Iterable

from nltk.tokenize import TreebankWordTokenizer

_NOT_WORD = re.compile(r"(\W+)")
_INNER_MARK = re.compile(r"(?<=\w) ([-'’]) (?=\w)")
_TREEBANK = TreebankWordTokenizer()


def tf_mrnn_words(text: str) -> list[str]:
    r"""The rule of TF-mRNN: split on `(\W+)`, strip, lower-case, drop a final full stop (py_lib/common_utils.py)."""
    pieces = (piece.strip() for piece in _NOT_WORD.split(unicodedata.normalize("NFC", text).lower()))
    words = ["".join(piece.split()) for piece in pieces if piece]
    return words[:-1] if words and words[-1] == "." else words


def treebank_words(text: str) -> list[str]:
    """Penn Treebank tokens (nltk), lower case, a final full stop dropped."""
    words: list[str] = _TREEBANK.tokenize(unicodedata.normalize("NFC", text).lower())
    return words[:-1] if words and words[-1] == "." else words


def join_words(words: Iterable[str]) -> str:
    """Words as a caption: joined by spaces, hyphens and apostrophes as in `t-shirt` and `dog's`."""
    return _INNER_MARK.sub(r"\1", " ".join(words))


TOKENISERS: dict[str, Callable[[str], list[str]]] = {"tf-mrnn": tf_mrnn_words, "treebank": treebank_words}
