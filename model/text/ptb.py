"""The words that coco-caption scores, without Java: the Penn Treebank tokenizer of CoreNLP 3.4.1, rule by rule.

coco-caption runs Java's `PTBTokenizer -preserveLines -lowerCase` and drops punctuation. That tokenizer takes at each
place the longest match of any of its rules, and so does this one; rules for what no caption holds (markup, telephone
numbers) are left out. On every caption of Flickr8k both give the same words. Known differences, all where the blank
between two words is missing: `cannot're`, `don\u2019tperson`, `vs.e-mail`, `3.520-25`.
"""

import re
from functools import lru_cache

# What coco-caption drops. The brackets that its list names (-LRB- ...) stay: by then they are in lower case.
PUNCTUATION = frozenset("'' ' `` ` . ? ! , : - -- ... ;".split())

SCORING_TOKENIZER = "Penn Treebank as in coco-caption (CoreNLP 3.4.1), lower case, punctuation dropped"
_APOS = r"['\u0092\u2019]"
_FRACTIONS = r"\u00B2\u00B3\u00B9\u00BC-\u00BE\u2153-\u215E"
_LETTER = rf"[^\W\d_{_FRACTIONS}]"
_ALNUM = rf"[^\W_{_FRACTIONS}]"
_NUM = r"(?:\d*(?:[.:,\u00AD]\d+)+|\d+)"
_MONTHS_DAYS = "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tues?|Wed|Thu(?:rs)?|Fri"
_STATES = (
    "Ala|Ariz|Az|Ark|Calif|Colo|Conn|Ct|Dak|Del|Fla|Ga|Ill|Ind|Kans?|Ky|La|Mass|Md|Mich|Minn|Miss|Mo|Mont|Neb|Nev|Okla|"
    "Ore|Pa|Penn|Tenn|Tex|Va|Vt|Wash|Wisc?|Wyo"
)
_COMPANIES = "Inc|Cos?|Corp|Pp?t[ye]s?|Ltd|Plc|Rt|Bancorp|Dept|Bhd|Assn|Univ|Intl|Sys|Invt|Elec|Natl|M[ft]g"
_TITLES = (
    "Mr|Mrs|Ms|Miss|Drs?|Profs?|Sens?|Reps?|Attys?|Lt|Col|Gen|Messrs|Govs?|Adm|Rev|Maj|Sgt|Cpl|Pvt|Capt|Ste?|Ave|Pres|"
    "Lieut|Hon|Brig|Co?mdr|Pfc|Spc|Supts?|Det|Mt|Ft|Adj|Adv|Asst|Assoc|Ens|Insp|Mlle|Mme|Msgr|Sfc"
)
# Most of a caption; no rule does otherwise with it, and there is only one to try.
_PLAIN = re.compile(r"(?!(?i:cannot|gonna|wanna|gotta|lemme|gimme) )[A-Za-z]+(?= )")
# Of two groups the first is the token and the second what must follow it; both count for the longest match.
_RULES = tuple(
    re.compile(rule)
    for rule in (
        # Contractions: the part before `n't`, `'s`, `'ll` is a word of its own, and so is either part of `cannot`.
        rf"({_LETTER}+)({_APOS}(?:[msdMSD]|re|ve|ll|RE|VE|LL)(?![A-Za-z]))",
        rf"({_LETTER}*?{_LETTER})([nN]{_APOS}[tT])",
        rf"[nN]{_APOS}[tT]",
        rf"{_APOS}(?:[msdMSD]|re|ve|ll|RE|VE|LL)(?![A-Za-z])",
        r"((?i:can))((?i:not))(?![A-Za-z])|((?i:gon|wan))((?i:na))(?![A-Za-z])",
        r"((?i:got))((?i:ta))(?![A-Za-z])|((?i:lem|gim))((?i:me))(?![A-Za-z])",
        rf"({_APOS}[tT])((?i:is|was))",
        # Words that hold an apostrophe.
        rf"{_APOS}n{_APOS}|{_APOS}n(?![A-Za-z.])|[lLdDjJ]{_APOS}|[Dd]unkin{_APOS}|[Ss]omethin{_APOS}|[Oo]l{_APOS}",
        rf"{_APOS}em|{_APOS}cause|{_APOS}till?|[yY]{_APOS}|[oO]{_APOS}clock",
        rf"{_LETTER}+[aeiouyAEIOUY]{_APOS}[aeiouA-Z]{_LETTER}*",
        rf"[A-HJ-XZn]{_APOS}{_LETTER}{{2,}}|{_APOS}[2-9]0s|{_APOS}\d\d(?![\w.])",
        # Words, also with full stops inside, and things joined by hyphens.
        rf"{_LETTER}{_ALNUM}*(?:[.!?]{_LETTER}{_ALNUM}*)*",
        rf"(?:[dDoOlL]{_APOS})?{_ALNUM}+(?:[-_](?:[dDoOlL]{_APOS})?{_ALNUM}+)*",
        r"[A-Z]+(?:(?:&amp;|[+&])[A-Z]+)+",
        r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}",
        # Abbreviations keep their full stop.
        rf"(?:{_MONTHS_DAYS}|{_STATES}|{_COMPANIES}|{_TITLES}|Jr|Sr|Bros|Esq|Ph\.D|Ed\.D|etc|al|seq|vs|ft|cf)\.",
        r"((?:[Nn]os?|[Pp]rop|[Ff]igs?|[Pp]p|[Aa]rt)\.)(\s?\d)",
        r"[A-Za-z](?:\.[A-Za-z])+\.|[A-Za-z]\.",
        # Addresses and names of the net.
        r"https?://[^ \t\"<>|()]+[^ \t\"<>|.!?(){},-]",
        r"(?:www\.(?:[^ \t\"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}|(?:[^ \t\"`'<>|.!?(){},\-_$]+\.)+(?:com|net|org|edu))"
        r"(?:/[^ \t\"<>|()]+[^ \t\"<>|.!?(){},-])?",
        r"[a-zA-Z0-9][^ \t\"<>|(){}]*@(?:[^ \t\"<>|(){}.]+\.)*[^ \t\"<>|(){}.]+",
        rf"@[a-zA-Z_]\w*|#{_LETTER}+|[Cc]\+\+|[CcFf]#",
        # Numbers.
        rf"[-+]?{_NUM}",
        r"(?:\d{1,4}[- ])?\d{1,4}\\?/\d{1,4}|\d{1,2}[-/]\d{1,2}[-/]\d{2,4}",
        r"[A-Z]*\$|[\u00A2-\u00A5\u0080\u20A0-\u20CF]",
        # Punctuation, and single characters that the Java tokenizer knows; it drops all others.
        r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]](?![A-Za-z])",
        r"[?!]+|\.{3,5}|(?:\. ){2,4}\.|[\u0085\u2026]|-+|''|``|_+|\*+|#+|@+|&amp;|&quot;",
        r"[!-~\u00A7-\u00FF\u2010-\u2027\u2030-\u205E\u2100-\u2BFF\u3000-\u303F\uFF01-\uFF0F]",
    )
)
_REWRITTEN = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_REWRITTEN |= {"½": "1/2", "¼": "1/4", "¾": "3/4", "&amp;": "&", "£": "#", "€": "$", "¢": "cents"}
_REWRITTEN |= dict.fromkeys(['"', "“", "”", "&quot;"], "''") | dict.fromkeys(["‘", "’", "‛"], "'")
_REWRITTEN |= dict.fromkeys(["–", "—", "―"], "--") | {"…": "..."}


def ptb_words(text: str) -> list[str]:
    """Tokens of a caption as coco-caption scores them: lower case, without punctuation."""
    return [word for word in _tokens(" ".join(text.split()) + " ") if word not in PUNCTUATION]


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    while place < len(text):
        if text[place] == " ":
            place += 1
        elif plain := _PLAIN.match(text, place):
            tokens.append(plain.group().lower())
            place = plain.end()
        elif matches := [match for rule in _RULES if (match := rule.match(text, place))]:
            longest = max(matches, key=lambda match: match.end())
            token = next((group for group in longest.groups() if group), longest.group())
            tokens += _rewrite(token).split()  # `3 1/2` is one token, but scorers split at its blank
            place += len(token)
        else:
            place += 1
    return tokens


@lru_cache(maxsize=1 << 16)
def _rewrite(token: str) -> str:
    if token in _REWRITTEN:
        return _REWRITTEN[token]
    if token[0] in ":;=<>":  # a smiley
        token = token[:-1] + _REWRITTEN.get(token[-1], token[-1])
    if len(token) > 1 and set(token) <= set("-. "):
        return "--" if token[0] == "-" else "..."
    return re.sub(_APOS, "'", token).replace(" ", "\u00a0").lower()  # `3 1/2` is one token
