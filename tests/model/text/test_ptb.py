"""Tokens as coco-caption's Java tokenizer gives them: recorded output, and a comparison where Java is installed."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.text import ptb
from model.text.ptb import PUNCTUATION, ptb_tokens
from tests.support import ptb_captions


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A dog, running (fast)!", "a dog running -lrb- fast -rrb-"),
        ("She can't see the dogs' ball, it's Tom's.", "she ca n't see the dogs ball it 's tom 's"),
        ("They cannot, we're gonna, I'll've", "they can not we 're gon na i 'll 've"),
        ("a T-shirt at 5:30 p.m. in Washington D.C.", "a t-shirt at 5:30 p.m. in washington d.c."),
        ("Mr. Smith in 9/11 no. 5 and no. 10 vs. etc.", "mr. smith in 9/11 no. 5 and no. 10 vs. etc."),
        ("mr. lee on main st. in jan. at a corp. and plan b.", "mr. lee on main st. in jan. at a corp. and plan b."),
        ("a red barn in del. and in Del.", "a red barn in del and in del."),
        ("a sign \"STOP\" and ``go''", "a sign stop and go"),
        ("“curly” ‘quotes’, it’s – a dash… and more...", "curly quotes it 's a dash and more"),
        ("slip 'n' slide and rock'n'roll at eight o'clock", "slip 'n' slide and rock 'n' roll at eight o'clock"),
        ("$5 for 3 1/2 at 50% & £2 or ½", "$ 5 for 3\u00a01/2 at 50 % & # 2 or 1/2"),
        ("AT&T at&t www.example.com me@mail.com #win @home", "at&t at & t www.example.com me@mail.com #win @home"),
        ("wow!! what?! :) 😀", "wow !! what ?! :-rrb-"),
        ("5'10 and 5'10\" in the '80s, [the] {end}", "5 '10 and 5 10 in the '80s -lsb- the -rsb- -lcb- end -rcb-"),
        ("a <name> and </name> or <unk>.", "a <name> and </name> or <unk>"),
        ("`left' ``double'' «guillemets» ‹single› ¿que? ¡no!", "left double guillemets single ¿ que ¡ no"),
        ("a soft\u00adhyphen", "a softhyphen"),
        ("हिन्दी में दो कुत्ते।", "हिन्दी में दो कुत्ते ।"),
        ("שָׁלוֹם كُرَةٌ สุนัข বাংলা", "שָׁלוֹם كُرَةٌ สุนัข বাংলা"),
        ("Ein Haus über São Paulo 日本 привет", "ein haus über são paulo 日本 привет"),
        ("two\ndogs\u2028run", "two dogs run"),
        ("", ""),
        (" . ", ""),
    ],
)
def test_ptb_tokens_match_java_on_examples(text, tokens):
    assert ptb_tokens(text) == (tokens.split(" ") if tokens else [])


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow("tokenizes 24,000 captions"))])
def test_ptb_tokens_match_the_recorded_tokens_of_java(every):
    captions, recorded = [*ptb_captions.generate_captions()], ptb_captions.read_recorded()
    assert len(captions) == len(recorded) == 24_000
    different = [
        (caption, ptb_tokens(caption), java)
        for caption, java in zip(captions[::every], recorded[::every], strict=True)
        if ptb_tokens(caption) != java
    ]
    assert different == []


@pytest.mark.skipif(ptb_captions.find_java_tokenizer() is None, reason="needs Java and pycocoevalcap (extra `coco`)")
def test_ptb_tokens_match_java_on_new_captions():
    captions = [*ptb_captions.generate_captions(count=4000, seed=1)]
    different = [
        (caption, ptb_tokens(caption), java)
        for caption, java in zip(captions, ptb_captions.java_tokens(captions), strict=True)
        if ptb_tokens(caption) != java
    ]
    assert different == []


@given(st.text())
def test_ptb_tokens_contain_no_space_and_no_punctuation(text):
    for token in ptb_tokens(text):
        assert token and " " not in token and token not in PUNCTUATION


@given(st.lists(st.text("ab.'<>1 ", max_size=6), max_size=4))
def test_ptb_tokens_do_not_depend_on_earlier_captions(texts):
    assert [ptb_tokens(text) for text in texts] == [ptb_tokens(text) for text in reversed(texts)][::-1]


_FRAGMENTS = (
    "a No. figs. 5 12 1/2 (555) 1234 1,000 '90s 5'10\" - . ... ) mr. b. The 7th #3 $5 ++1 +44 .5 ½ ٣/٤ .com 8-)".split()
)


@example([("'90s", ""), ("b.", " "), ("The", " ")])
@given(st.lists(st.tuples(st.sampled_from(_FRAGMENTS), st.sampled_from([" ", "  ", "\t", ""])), max_size=8))
def test_ptb_tokens_of_parts_equal_those_of_the_whole_text(fragments):
    text = "".join(fragment + separator for fragment, separator in fragments)
    tokens = " ".join(ptb._tokenize(text)).split(" ")
    assert ptb_tokens(text) == [token for token in tokens if token and token not in PUNCTUATION]
