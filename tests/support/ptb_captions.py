"""Captions that exercise the tokenizer, and how Java's tokenizer tokenizes them.

`python -m tests.support.ptb_captions` records Java's tokens of the generated captions in `RECORDED`; it needs Java and
pycocoevalcap, whose package contains Stanford CoreNLP 3.4.1.
"""

import importlib.util
import lzma
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.text.ptb import PUNCTUATION

COUNT, SEED = 24_000, 0
RECORDED = Path(__file__).parents[1] / "model" / "text" / "ptb_java_tokens.txt.xz"

# Words of captions; English first.
SCRIPTS = {
    "Latin": "a the man woman two dogs runs grass São über garçon niño źle ağaç tree's T-shirt",
    "Cyrillic": "собака бежит по траве красный мяч дівчинка їсть куче на улици",
    "Greek": "ένας σκύλος τρέχει στο γρασίδι Κόκκινη μπάλα ΣΚΥΛΟΣ δύο",
    "Armenian": "շունը վազում է խոտի վրա Կարմիր գնդակ երկու",
    "Georgian": "ძაღლი გარბის ბალახზე წითელი ბურთი ორი",
    "Hebrew": "כלב רץ על הדשא שָׁלוֹם כדור אדום שני",
    "Arabic": "كلب يركض على العشب كُرَةٌ حمراء دو سگ می‌دوند",
    "Devanagari": "एक कुत्ता घास पर दौड़ रहा है लाल गेंद दो बच्चे",
    "Bengali": "একটি কুকুর ঘাসের উপর দৌড়াচ্ছে লাল বল দুই",
    "Tamil": "ஒரு நாய் புல்லில் ஓடுகிறது சிவப்பு பந்து இரண்டு",
    "Kannada": "ಒಂದು ನಾಯಿ ಹುಲ್ಲಿನ ಮೇಲೆ ಓಡುತ್ತಿದೆ ಕೆಂಪು ಚೆಂಡು",
    "Thai": "สุนัข วิ่ง บน หญ้า ลูกบอล สีแดง ผู้ชายสองคน",
    "Han": "一只狗在草地上跑 红色的 球 两个 孩子 狗",
    "Kana": "犬が 草の上を 走っている 赤い ボール ふたり キャッチ",
    "Hangul": "개가 잔디 위를 달린다 빨간 공 두 아이",
    "Ethiopic": "ውሻ በሣር ላይ ይሮጣል ቀይ ኳስ ሁለት",
}
_ORDINARY = (
    "a the man woman dog plays with ball red color in on and is two 3 person's dogs' can't won't it's they're I'll "
    "cannot gonna 'tis o'clock y'all ma'am rock 'n' roll D'Angelo couldn't've Washington mr. Mr. st. jan. Jan. "
    "corp. b. e.g. p.m."
).split()
_ODD = r"""
n't N'T 's 'S 'll 't 'em 'n '80s '10 5'10" 2" ' '' ` `` " “ ” ‘ ’ « » ‹ › „ ‚ ‛ . . .. ... ....
..... … , , ; : ? ?! ! !! - -- --- ---- – — _ __ / \ \/ | & &amp; &lt; &gt; &quot; &apos; &nbsp;
&eacute; &mdash; &#39; @ # ## * ** % $ £ € ¢ ¥ + = ~ ^ ( ) [ ] { } < > << >> <b> </b> <br/> <unk>
<start> </s> <a href="x"> <!--x--> 1 2 12 555 1234 1,000 3.5 .5 1/2 3-1/2 10:30 7:00am 1st 1980s
80's ½ ² ₂ ° é ü ß ı İ ̇ ́ · ¿ ¡ © ® § † • ★ 😀 👍🏽 🇩🇪 👨‍👩‍👧 ＃ ＠ ！ ， 。 、 「 」 ・ ؟ ، ۔ । ॥ ฿ ₹ ٣ ३ ٫ ⁄ ‐
‑ ª º µ ʼ ˇ 𝒶 http://a.com/b?c=d. www.example.com example.com me@mail.com <me@mail.com> @home #win
C# c++ AT&T at&t R&B a+b :) :-) :-( ;P =) ^_^ t-shirt 7-year-old x-ray -ing snow_boarder
jack-o'-lantern 24/7 and/or w/ 9/11 12/25/2010 555-1234 (555) +1 -5 no. No. fig. etc. vs. ft. Ph.D.
U.S. U.S D.C. a.k.a. A.J. inc. co. c'mon cap'n li'l dunkin' somethin' ol' y' l' B'gosh shi'ite
cont'd pro- anti- s&p-500 f-16 word.Word word,word 1.2.3 v2.0 a.pdf 1q.jpg -LRB- km/h I'm I. O'Neil
""".split()
_CHARACTERS = (
    "abcxyzABCXYZ .,'-",
    "abn t'`’‘\"“.,-/ _",
    "0123456789.,:/- ()+$",
    "ab<>/= \"'!?&;x",
    "ab@._-#/:;() x",
    "".join(map(chr, range(32, 127))),
    "".join(map(chr, range(0xA0, 0x180))) + " .-'ab",
    "".join(chr(code) for code in range(0x2000, 0x2070) if code not in (0x2028, 0x2029)) + " ab1.",
    "".join(map(chr, range(0x2070, 0x2200))) + " 12.",
    "".join(map(chr, range(0x0900, 0x0E80))) + "  .",
    "".join(map(chr, range(0x05D0, 0x0700))) + "  .-",
    "".join(map(chr, range(0x3000, 0x3100))) + "日本語 ",
)


class _Draw:
    """Random choices that are the same in every version of Python: by `random.random` alone."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)

    def below(self, limit: int) -> int:
        return int(self._random.random() * limit)

    def one_of(self, values: Sequence[str]) -> str:
        return values[self.below(len(values))]

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability


def generate_captions(count: int = COUNT, seed: int = SEED) -> Iterator[str]:
    """Yield captions: of one script, of odd tokens with and without spaces between, and of random characters."""
    draw = _Draw(seed)
    scripts = [words.split() for words in SCRIPTS.values()]
    for number in range(count):
        kind = number % 10
        if kind < 4:
            caption = _punctuated(draw, scripts[number // 10 % len(scripts)])
        elif kind < 8:
            caption = _joined(draw, scripts, spaces=(1.0, 0.8, 0.5, 0.15)[kind - 4])
        else:
            characters = draw.one_of(_CHARACTERS)
            caption = "".join(draw.one_of(characters) for _ in range(2 + draw.below(15)))
            if kind == 9:
                caption += " " + _joined(draw, scripts, spaces=0.5)
        yield caption


def _punctuated(draw: _Draw, words: Sequence[str]) -> str:
    """A caption of one script with punctuation marks at its words."""
    caption = []
    for _ in range(2 + draw.below(8)):
        word = draw.one_of(words)
        if draw.chance(0.3):
            word = draw.one_of(("", "", '"', "“", "‘", "«", "(", "¿", "'")) + word
            word += draw.one_of(("", ",", ".", ";", '"', "”", "’", "»", ")", "!", "?", "…", "'s", "'", "-", ":"))
        caption.append(word)
    return " ".join(caption) + draw.one_of(("", "", ".", " .", "!", "。", "।", "؟", "..."))


def _joined(draw: _Draw, scripts: Sequence[Sequence[str]], spaces: float) -> str:
    """Ordinary and odd tokens, with a space after a token with probability `spaces`."""
    caption = ""
    for _ in range(1 + draw.below(8)):
        words = _ODD if draw.chance(0.5) else _ORDINARY if draw.chance(0.7) else scripts[draw.below(len(scripts))]
        caption += draw.one_of(words) + (" " if draw.chance(spaces) else "")
    return caption


def find_java_tokenizer() -> Path | None:
    """Return the archive of CoreNLP 3.4.1 in pycocoevalcap, or None where it or Java is not installed."""
    package = importlib.util.find_spec("pycocoevalcap")
    if package is None or shutil.which("java") is None:
        return None
    return Path(package.submodule_search_locations[0], "tokenizer", "stanford-corenlp-3.4.1.jar")


def java_tokens(captions: Sequence[str]) -> list[list[str]]:
    """Tokens of each caption by coco-caption's Java tokenizer, punctuation dropped.

    A line between two captions keeps the tokens of one from depending on the next.
    """
    archive = find_java_tokenizer()
    with tempfile.TemporaryDirectory() as scratch:
        given = Path(scratch, "captions.txt")
        given.write_text("".join(f"{caption}\nx\n" for caption in captions), encoding="utf-8", newline="")
        command = ["java", "-cp", str(archive), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
        done = subprocess.run([*command, str(given)], capture_output=True, check=True)
    lines = done.stdout.decode("utf-8").split("\n")
    assert set(lines[1 : 2 * len(captions) : 2]) <= {"x"}
    return [
        [token for token in line.rstrip().split(" ") if token and token not in PUNCTUATION]
        for line in lines[: 2 * len(captions) : 2]
    ]


def read_recorded() -> list[list[str]]:
    """Tokens that Java gave for the generated captions."""
    return [
        line.split(" ") if line else []
        for line in lzma.open(RECORDED, "rt", encoding="utf-8", newline="").read().split("\n")[:-1]
    ]


if __name__ == "__main__":
    found = java_tokens([*generate_captions()])
    RECORDED.write_bytes(lzma.compress("".join(" ".join(tokens) + "\n" for tokens in found).encode(), preset=9))
