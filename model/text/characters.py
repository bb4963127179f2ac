"""Tokens of scripts that are written without blanks between words, such as Chinese: one per character.

coco-caption's tokenizer takes a sentence of such a script as one token, so that n-gram metrics compare sentences.
"""

import unicodedata
from collections.abc import Iterable

import regex

from model.text.ptb import SCORING_TOKENIZER, ptb_tokens

CHARACTER_TOKENIZER = (
    f"{SCORING_TOKENIZER}; a token per character of Chinese, Japanese, Thai, Lao, Khmer and Burmese, whose punctuation "
    "is dropped, too"
)
_SCRIPTS = r"\p{Han}\p{Hiragana}\p{Katakana}\u30FC\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_CHARACTER = regex.compile(rf"(?=[{_SCRIPTS}\u3000-\u303F\u30FB\uFF00-\uFFEF--[\p{{Latin}}\p{{Nd}}]])\X", regex.V1)
_PUNCTUATION = regex.compile(r"[\p{P}\p{Z}]\p{M}*")
_RUN = regex.compile(rf"[{_SCRIPTS}]{{2}}")


def character_tokens(text: str) -> list[str]:
    """Tokenize as `ptb_tokens`, and split what it would keep together in scripts without blanks.

    Args:
        text: A caption.

    Returns:
        Tokens in lower case, without punctuation. Vowel signs and other marks belong to their character.
    """
    if text.isascii():
        return ptb_tokens(text)
    text = unicodedata.normalize("NFC", text)
    tokens, start = [], 0
    for character in _CHARACTER.finditer(text):
        tokens += ptb_tokens(text[start : character.start()])
        if not _PUNCTUATION.fullmatch(character[0]):
            tokens.append(character[0])
        start = character.end()
    return tokens + ptb_tokens(text[start:])


def fraction_without_blanks(texts: Iterable[str]) -> float:
    """Return the fraction of texts with two or more characters in a row of a script without blanks; 0 of no texts."""
    found = [not text.isascii() and _RUN.search(text) is not None for text in texts]
    return sum(found) / max(1, len(found))
