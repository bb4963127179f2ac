"""Tokens of scripts without blanks between words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text.characters import character_tokens, fraction_without_blanks
from model.text.ptb import ptb_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("一只狗在草地上跑。", "一 只 狗 在 草 地 上 跑"),
        ("犬が「草」の上を走っている！", "犬 が 草 の 上 を 走 っ て い る"),
        ("コーヒー・２杯、ＯＫ", "コ ー ヒ ー ２ 杯 ｏｋ"),
        ("สุนัขวิ่ง", "สุ นั ข วิ่ ง"),
        ("ខ្មែរ។", "ខ្មែ រ"),
        ("A man's dog, 狗, 1,000人。", "a man 's dog 狗 1,000 人"),
        ("한국어 개 и собака.", "한국어 개 и собака"),
        ("l’été", "l’été"),
        ("。", ""),
    ],
)
def test_scripts_without_blanks_are_split_by_character(text, tokens):
    assert character_tokens(text) == tokens.split()


@given(st.text(st.characters(max_codepoint=0x24F)))
def test_texts_in_other_scripts_are_tokenized_as_by_default(text):
    assert character_tokens(text) == ptb_tokens(unicodedata.normalize("NFC", text))
    assert fraction_without_blanks([text]) == 0


def test_fraction_without_blanks_counts_texts():
    assert fraction_without_blanks(["a dog", "一只狗", "狗", "ก็"]) == 0.5
    assert fraction_without_blanks([]) == 0
