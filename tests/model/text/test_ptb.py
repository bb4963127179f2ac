"""Words as coco-caption's Java tokenizer gives them: recorded examples, and a comparison where Java is found."""

import random
import shutil

import pytest
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from model.text.ptb import ptb_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog, running (fast)!", "a dog running -lrb- fast -rrb-"),
        ("She can't see the dogs' ball, it's Tom's.", "she ca n't see the dogs ball it 's tom 's"),
        ("They cannot, we're gonna, I'll've", "they can not we 're gon na i 'll 've"),
        ("a T-shirt at 5:30 p.m. in Washington D.C.", "a t-shirt at 5:30 p.m. in washington d.c."),
        ("Mr. Smith in 9/11 no. 5 and no. 10 vs. etc.", "mr. smith in 9/11 no. 5 and no. 10 vs. etc."),
        ("a sign \"STOP\" and ``go''", "a sign stop and go"),
        ("“curly” ‘quotes’, it’s – a dash… and more...", "curly quotes it 's a dash and more"),
        ("slip 'n' slide and rock'n'roll at eight o'clock", "slip 'n' slide and rock 'n' roll at eight o'clock"),
        ("$5 for 3 1/2 at 50% & £2 or ½", "$ 5 for 3 1/2 at 50 % & # 2 or 1/2"),
        ("AT&T www.example.com me@mail.com #win @home", "at&t www.example.com me@mail.com #win @home"),
        ("wow!! what?! :) 😀", "wow !! what ?! :-rrb-"),
        ("5'10 in the '80s, [the] {end}", "5 '10 in the '80s -lsb- the -rsb- -lcb- end -rcb-"),
        ("Ein Haus über São Paulo 日本 привет", "ein haus über são paulo 日本 привет"),
        ("", ""),
        (" . ", ""),
    ],
)
def test_recorded_words(text, words):
    assert ptb_words(text) == words.split()


ORDINARY = (
    "a the man woman dog plays with ball red color in on and is two 3 person's dogs' can't won't it's they're I'll "
    "cannot gonna 'tis o'clock y'all ma'am rock 'n' roll D'Angelo couldn't've Washington"
).split()
ODD = r"""
t-shirt 7-year-old x-ray -- --- – … .. .... , ; : ? ! ?! ' '' ` `` " “ ” ‘ ’ ( ) [ ] { } < > / \ | &
&amp; &quot; @ # #7 * ** % 50% $ $5 £ €10 + = ~ ^ _ snow_boarder 1,000 3.5 .5 1/2 9/11 10:30 7:00am
5:30 p.m. 1st 1980s 80's '80s 5'10 6' 2" ½ ° é naïve São Mr. Dr. St. U.S. D.C. Inc. Co. Jr. vs. etc.
e.g. i.e. No. Jan. A.J. b. www.example.com http://a.com/b?c=d me@mail.com and/or w/ 24/7 AT&T R&B
M&Ms :) :-) ;) <3 😀 日本 O'Neil jack-o'-lantern 's 't 'em wi-fi C# C++ 3D mp3 A4-sized 2x4 #winning
-ing -5 1. 2) (3) etc… wow!! end." 'quote' “curly” it’s don’t word.Word word,word 1.2.3 1,2 v2.0
.com Ph.D. ft. in. lbs. km/h mph. &c
""".split()


def fuzz(count: int, blanks: float) -> list[str]:
    """Sentences of ordinary and of odd words; the blank after an odd word is there with a probability of `blanks`."""
    draw = random.Random(0)
    texts = []
    for _ in range(count):
        words = [draw.choice(ORDINARY if draw.random() < 0.6 else ODD) for _ in range(draw.randint(1, 9))]
        text = "".join(word + ("" if word in ODD and draw.random() > blanks else " ") for word in words)
        texts.append(text.strip() + draw.choice(["", ".", " .", "!", "..."]))
    return texts


def by_java(texts: list[str]) -> list[str]:
    found = PTBTokenizer().tokenize({index: [{"caption": text}] for index, text in enumerate(texts)})
    return [found[index][0] for index in range(len(texts))]


@pytest.mark.skipif(shutil.which("java") is None, reason="the tokenizer to compare with needs Java")
@pytest.mark.parametrize(("blanks", "differing"), [(1.0, 0), (0.8, 0.02)])
def test_the_same_words_as_java_s_tokenizer(blanks, differing):
    texts = fuzz(4000, blanks)
    different = [
        (text, java) for text, java in zip(texts, by_java(texts), strict=True) if java.split() != ptb_words(text)
    ]
    assert len(different) <= differing * len(texts), different[:5]
