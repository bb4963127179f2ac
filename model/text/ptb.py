r"""Penn Treebank tokenizer that matches the Java tokenizer of coco-caption.

coco-caption runs `PTBTokenizer -preserveLines -lowerCase` of Stanford CoreNLP 3.4.1 and then drops punctuation. Scores
are comparable only between captions that were tokenized in this way. The rules below were written from the output of
that program: `tests/model/text/test_ptb.py` compares both on 24,000 recorded captions in 16 scripts, and on new ones
where Java is installed.

Like the Java tokenizer, this one takes the longest match of any rule at each position; of equally long matches, that of
the first rule. What a rule requires after the token, its named group `next`, counts for the length of the match.

Remaining differences: coco-caption tokenizes all captions as one file, so that `no.` at the end of a caption is one
token if the next caption starts with a digit, and a line separator other than `\n` inside a caption shifts all captions
after it. Here, captions do not depend on each other, and line separators are spaces.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import regex

from model.text.ptb_characters import DIGITS, LETTERS, MARKS, SYMBOLS

SCORING_TOKENIZER = "Penn Treebank as in coco-caption (CoreNLP 3.4.1), lower case, punctuation dropped"
# What coco-caption drops. Its list also has brackets (-LRB-, ...), but these are in lower case by then, and stay.
PUNCTUATION = frozenset("'' ' `` ` . ? ! , : - -- ... ;".split())


def _caseless(pattern: str) -> str:
    """Match the ASCII letters of a pattern in either case (`re.IGNORECASE` would add `\u212a` for `k`)."""
    return "".join(
        part if len(part) > 1 or not part.isalpha() else f"[{part.upper()}{part.lower()}]"
        for part in re.findall(r"\\.|\[[^]]*\]|&\w+;|.", pattern)
    )


def _capitalized(words: str) -> str:
    """Match words in either case except for their first letter."""
    return "|".join(word[0] + _caseless(word[1:]) for word in words.split("|"))


# Characters and parts of tokens.
_SPACE = r"[ \t\u00A0\u2000-\u200A\u3000]"
_SPACE_OR_END = r"[ \t\u00A0\u2000-\u200A\u3000\n]"
_LETTER = rf"[A-Za-z{LETTERS}]"
_DIGIT = rf"[0-9{DIGITS}]"
_ALNUM = rf"[A-Za-z0-9{LETTERS}{DIGITS}]"
_ACCENTED = r"&[aeiouAEIOU](?:acute|grave|uml);"
_WORD_START = rf"(?:[A-Za-z{LETTERS}{MARKS}\u00AD]|{_ACCENTED})"
_WORD_PART = rf"(?:[A-Za-z0-9{LETTERS}{DIGITS}{MARKS}\u00AD]|{_ACCENTED})"
_APOSTROPHE = r"(?:['\u0092\u2019]|&apos;)"
_APOSTROPHE_OR_BACKQUOTE = r"(?:['\u0092\u2019`\u0091\u2018\u201B]|&apos;)"
_HYPHEN = r"[-_\u058A\u2010\u2011]"
_WORD = rf"{_WORD_START}{_WORD_PART}*(?:[.!?]{_WORD_START}{_WORD_PART}*)*"
_NAME_PARTS = rf"(?:[dDoOlL]{_APOSTROPHE_OR_BACKQUOTE}{_ALNUM})?{_ALNUM}+"  # with a prefix as in O'Neil
_HYPHENATED = rf"{_NAME_PARTS}(?:{_HYPHEN}{_NAME_PARTS})*"
_INITIALS = r"[A-Za-z](?:\.[A-Za-z])+"
_HYPHENATED_NUMBER = rf"[A-Za-z0-9][A-Za-z0-9.,\u00AD]*(?:-(?:[A-Za-z0-9\u00AD]+|{_INITIALS}\.))+"
_CLITIC = rf"{_APOSTROPHE}(?:[msdMSD]|{_caseless('(?:re|ve|ll)')})"  # 'm, 's, 'd, 're, 've, 'll
_NOT = rf"[nN]{_APOSTROPHE_OR_BACKQUOTE}[tT]"
_NUMBER = rf"(?:{_DIGIT}*(?:[.:,\u00AD\u066B\u066C]{_DIGIT}+)+|{_DIGIT}+)"
_SLASH_PART = r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
_NAME = r"[A-Za-z][A-Za-z0-9:._\-]*"
_ATTRIBUTE = rf"""{_NAME}(?: *= *(?:'[^'\n]*'|"[^"\n]*"))?"""
_TAG = rf"<(?:[!?][A-Za-z\-][^>\n]*|/{_NAME}|{_NAME}(?: +{_ATTRIBUTE})* */?) *>"
_FILE_ENDINGS = (
    "bat|bmp|c|cgi|class|cpp|dll|docx?|exe|gif|gz|h|html?|jar|java|jpe?g|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|"
    "wav|x|xml|zip"
)
# Abbreviations that take precedence over a longer word (`jan.n't`), and those that do not (`mr.smith`).
_STRONG_ABBREVIATIONS = (
    "al|ala|apr|ariz|assn|aug|bancorp|bhd|bldg|blvd|bros|calif|co|colo|conn|cont'd|corp|cos|ct|dak|dec|ed\\.d|esq|est|etc"
    "|ext|feb|fla|fri|ga|inc|ind|intl|jan|jr|jul|jun|kan|kans|ky|ltd|mar|md|mich|minn|mo|mon|mont|neb|nev|nov|oct|okla|"
    "penn|ph\\.d|plc|rd|rt|sep|sept|seq|sq|sr|sys|tel|tenn|thu|thurs|tue|tues|univ|va|vt|wed|wis|wisc|wyo|"
    "(?:canada|eu|japan|korean|non|sino)-u\\.s"
)
_CAPITALIZED_ABBREVIATIONS = "Az|Ark|Del|Ill|La|Mass|Miss|Ore|Pa|Tex|Wash"  # the first letter is a capital
_WEAK_ABBREVIATIONS = (
    "a\\.k\\.a|adj|adm|adv|alex|assoc|asst|atty|attys|ave|brig|capt|cf|cie|cmdr|col|comdr|cpl|dept|det|dr|drs|elec|ens|ft|"
    "gen|gov|govs|hon|insp|invt|jos|lieut|lt|maj|messrs|mlle|mme|mr|mrs|ms|msgr|mt|natl|pfc|ph|pres|prof|profs|pvt|rep|"
    "reps|rev|sen|sens|sfc|sgt|spc|st|ste|supt|supts|treas|vs|wm|u\\.s\\.-u\\.k|u\\.s\\.-u\\.s\\.s\\.r"
)
_STRONG = rf"(?:{_caseless(_STRONG_ABBREVIATIONS)}|{_capitalized(_CAPITALIZED_ABBREVIATIONS)}|[Pp][Pp]?[Tt][ye][Ss]?)"
_WEAK = rf"(?:[A-Za-z]|{_INITIALS}|[Mm][ft][Gg]|{_caseless(_WEAK_ABBREVIATIONS)})"
# Words that start a sentence after a single letter and a full stop; the first letter is a capital.
_SENTENCE_STARTS = (
    "A|About|According|Additionally|After|An|As|At|But|Earlier|He|Her|Here|However|If|In|It|Last|Many|More|Mr\\.|Ms\\.|Now|"
    "Once|One|Other|Our|She|Since|So|Some|Such|That|The|Their|Then|There|These|They|This|We|What|When|While|Yet|You"
)


# How tokens are written.
_REWRITTEN = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_REWRITTEN |= {"&lt;": "<", "&gt;": ">", "&quot;": "''", '"': "''", "---": "--", "----": "--"}
_REWRITTEN |= {"¼": "1/4", "½": "1/2", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "¢": "cents", "£": "#"}
_REWRITTEN |= dict.fromkeys("\u0080\u00a4\u20a0\u20ac", "$")
_QUOTES = {"‘": "`", "‛": "`", "‹": "`", "’": "'", "›": "'", "“": "``", "«": "``", "”": "''", "»": "''"}
_QUOTES |= {"\u0091": "`", "\u0092": "'", "\u0093": "``", "\u0094": "''"}


def _keep(token: str) -> str:
    return token


def _delete(_: str) -> str:
    return ""


def _drop_soft_hyphens(token: str) -> str:
    return token.replace("\u00ad", "") or "-"


def _straighten_quotes(token: str) -> str:
    return "".join(_QUOTES.get(character, character) for character in token.replace("&apos;", "'"))


def _spell_parentheses(token: str) -> str:
    return token.replace("(", "-lrb-").replace(")", "-rrb-")


_RULES: tuple[tuple["regex.Pattern[str]", Callable[[str], str]], ...] = tuple(
    (regex.compile(pattern, regex.POSIX), rewrite)  # POSIX: the longest of a rule's alternatives, not the first
    for pattern, rewrite in (
        # Words of two tokens.
        (rf"{_caseless('can')}(?P<next>{_caseless('not')})", _keep),
        (rf"{_caseless('(?:gon|wan)')}(?P<next>{_caseless('na')})", _keep),
        (rf"{_caseless('got')}(?P<next>{_caseless('ta')})", _keep),
        (rf"{_caseless('(?:lem|gim)')}(?P<next>{_caseless('me')})", _keep),
        (rf"'[tT](?P<next>{_caseless('(?:is|was)')})", _keep),
        # Markup.
        (_TAG, _keep),
        (r"&(?:MD|mdash|ndash);|[\u0096\u0097\u2013-\u2015]", lambda _: "--"),
        (r"&amp;", lambda _: "&"),
        (rf"&(?:{_caseless('HT|TL|UR|LR|QC|QL|QR|odq|cdq')}|#[0-9]+);", _keep),
        (r"&nbsp;", _delete),
        # Words, also with full stops inside, and before `'s` or `n't`.
        (rf"{_WORD}(?P<next>{_CLITIC})", _drop_soft_hyphens),
        (rf"[A-Za-z\u00AD]*[A-MO-Za-mo-z]\u00AD*(?P<next>{_NOT})", _drop_soft_hyphens),
        (_WORD, _drop_soft_hyphens),
        # Words with an apostrophe.
        (rf"{_APOSTROPHE}[nN]{_APOSTROPHE}?|(?:[lLdDjJ]|{_caseless('(?:dunkin|somethin|ol)')}){_APOSTROPHE}", _keep),
        (
            rf"{_APOSTROPHE}(?:[2-9]0[sS]|{_caseless('(?:em|till?|cause)')})|[oO]{_APOSTROPHE}{_caseless('clock')}",
            _keep,
        ),
        (rf"{_APOSTROPHE}[0-9][0-9](?P<next>{_SPACE_OR_END})", _keep),
        (rf"[A-HJ-XZn]{_APOSTROPHE_OR_BACKQUOTE}{_LETTER}{_LETTER}+", _keep),
        (rf"{_LETTER}+[aeiouyAEIOUY]{_APOSTROPHE_OR_BACKQUOTE}[aeiouA-Z]{_LETTER}*", _keep),
        (rf"[Yy]{_APOSTROPHE}(?P<next>{_LETTER})", _keep),
        (r"[Cc]ap'n|[Cc]'(?:mon|est)|[Ll][Ii]'[Ll]", _keep),
        # Addresses and names of the internet.
        (r"https?://[^ \t\n\"<>|(){}]+[^ \t\n\"<>|.!?(){},\-]", _keep),
        (
            r"(?:www\.(?:[^ \t\n\"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}|(?:[^ \t\n\"`'<>|.!?(){},-_$]+\.)+(?:com|net|org|edu))"
            r"(?:/[^ \t\n\"<>|()]+[^ \t\n\"<>|.!?(){},\-])?",
            _keep,
        ),
        (
            r"(?:&lt;|<)?[a-zA-Z0-9][^ \t\n\"<>|(){}\u00A0]*@(?:[^ \t\n\"<>|(){}.\u00A0]+\.)*[^ \t\n\"<>|(){}.\u00A0]+"
            r"(?:&gt;|>)?",
            _keep,
        ),
        (rf"@[a-zA-Z_][a-zA-Z_0-9]*|#{_WORD_START}+", _keep),
        # The second part of a contraction.
        (rf"{_CLITIC}(?P<next>[^A-Za-z])", _straighten_quotes),
        (_NOT, _straighten_quotes),
        # Numbers.
        (rf"{_DIGIT}{{1,2}}[\-/]{_DIGIT}{{1,2}}[\-/]{_DIGIT}{{2,4}}", _keep),
        (rf"[-+]?{_NUMBER}", _drop_soft_hyphens),
        (r"[\u207A\u207B\u208A\u208B]?(?:[\u2070\u00B9\u00B2\u00B3\u2074-\u2079]+|[\u2080-\u2089]+)", _keep),
        (rf"(?:{_DIGIT}{{1,4}}[- \u00A0])?{_DIGIT}{{1,4}}(?:\\?/|\u2044){_DIGIT}{{1,4}}", _keep),
        (r"[\u00BC-\u00BE\u2153-\u215E]", _keep),
        # Abbreviations and expressions with a hyphen, slash or ampersand.
        (r"-(?:RRB|LRB|RCB|LCB|RSB|LSB)-", _keep),
        (_caseless(r"c\.d\.s|pro-|anti-|s(?:&|&amp;)p-500|s(?:&|&amp;)ls"), _keep),
        (rf"{_SLASH_PART}(?:\\?/{_SLASH_PART}){{1,2}}", _keep),
        (r"[A-Z]*\$|#|[\u00A2-\u00A5\u0080\u20A0\u20AC\u060B\u0E3F\u20A4\uFFE0\uFFE1\uFFE5\uFFE6]", _keep),
        (rf"{_STRONG}\.(?P<next>[\s\S][\s\S])", _keep),
        (rf"{_WEAK}\.", _keep),
        (
            rf"[A-Za-z](?P<next>\.{_SPACE_OR_END}+(?:{_TAG}|{_capitalized(_SENTENCE_STARTS)}){_SPACE_OR_END})",
            _keep,
        ),
        (rf"(?:{_WORD}|{_HYPHENATED}|{_HYPHENATED_NUMBER})\.(?P<next>[,;:\u3001])", _drop_soft_hyphens),
        (rf"{_caseless('(?:art|ca|figs?|nos?|op|pp?|prop)')}\.(?P<next>{_SPACE_OR_END}?{_DIGIT})", _keep),
        (
            rf"{_WORD_PART}+(?:\.{_WORD_PART}+)*\.{_caseless(f'(?:{_FILE_ENDINGS})')}(?P<next>{_SPACE_OR_END}|[.?!,])",
            _keep,
        ),
        # Telephone numbers, also with spaces inside.
        (
            r"(?:\([0-9]{2,3}\)[ \u00A0]?|(?:\+\+?)?(?:[0-9]{2,4}[\- \u00A0])?[0-9]{2,4}[\- \u00A0])"
            r"[0-9]{3,4}[\- \u00A0]?[0-9]{3,5}",
            _spell_parentheses,
        ),
        (r"(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}", _keep),
        # Smileys and punctuation.
        (r"<<|>>|&lt;|&gt;", _keep),
        (r"[<>]?[:;=][\-o*']?[()DPdpO\\{@|\[\]](?P<next>[^A-Za-z0-9])", _spell_parentheses),
        (r"[\-\^x=~<>']_[\-\^x=~<>']|\([\-\^x=~<>'][_.]?[\-\^x=~<>']\)", _spell_parentheses),
        (rf"{_SPACE}+", _delete),
        (r"\.{3,5}|(?:\.[ \u00A0]){2,4}\.|[\u0085\u2026]", lambda _: "..."),
        (r"-+|@+|#+|_+|\*+|(?:\\\*){1,3}|[?!]+", _keep),
        (_HYPHENATED, _keep),
        (_HYPHENATED_NUMBER, _drop_soft_hyphens),
        (r"[A-Z]+(?:(?:[+&]|&amp;)[A-Z]+)+", lambda token: token.replace("&amp;", "&")),
        (r"[Cc]\+\+|[CcFf]#", _keep),
        (r"'(?P<next>[A-Za-z][^ \t\n\u00A0])", _straighten_quotes),
        (_CLITIC, _straighten_quotes),
        (
            r"['\u0092\u2019]|&apos;|[`\u2018\u2019\u201A-\u201F\u0091-\u0094\u2039\u203A\u00AB\u00BB]{1,2}|''",
            _straighten_quotes,
        ),
        (rf"\"|&quot;|[!-/:-@\[-`{{-~{SYMBOLS}]", _keep),
    )
)

_LINE_SEPARATORS = re.compile(r"[\r\n\v\f\x85\u2028\u2029]")
# Where a rule may look across a space: at tags, full stops with spaces, and spaces beyond ASCII ...
_NEEDS_CONTEXT = re.compile(
    r"[<\u00A0\u2000-\u200A\u3000]|\. \."
    # A single letter before a full stop, also the rest of a word with an apostrophe (`'90sb. The`).
    r"|(?:(?<![A-Za-z])|['\u0091\u0092\u2018\u2019\u201B`;][A-Za-z0-9]*)[A-Za-z]\.[ \t]+[A-Z]"
)
# ... and before a digit (`3 1/2`, `(555) 1234`, `no. 5`). All other spaces separate independent parts.
_SEPARATOR = re.compile(r"(?<![\d).])[ \t]+|[ \t]+(?!\d)")
# The most frequent cases, for speed: words and last numbers that no other rule splits or extends.
_PLAIN = re.compile(r"(?!(?i:cannot|gonna|gotta|lemme|gimme|wanna)(?![A-Za-z]))[A-Za-z]+(?=[ \n])|[0-9]+(?=\n)")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def ptb_tokens(text: str) -> list[str]:
    """Tokenize a caption as coco-caption does before scoring.

    Args:
        text: A caption.

    Returns:
        Tokens in lower case, without punctuation. A token may contain no-break spaces (`3\u00a01/2`).
    """
    text = _LINE_SEPARATORS.sub(" ", text)
    if _NEEDS_CONTEXT.search(text):
        tokens = [*_tokenize(text)]
    else:
        tokens = [token for part in _SEPARATOR.split(text) for token in _tokenize_part(part)]
    # coco-caption writes tokens as a line and splits it again.
    return [token for token in " ".join(tokens).rstrip().split(" ") if token and token not in PUNCTUATION]


@lru_cache(maxsize=1 << 16)
def _tokenize_part(text: str) -> tuple[str, ...]:
    return tuple(_tokenize(text))


def _tokenize(text: str) -> Iterator[str]:
    """Yield the tokens of a text without line separators, punctuation included."""
    is_astral = _ASTRAL.search(text) is not None
    text = (_ASTRAL.sub(_to_surrogates, text) if is_astral else text) + "\n\n"
    position = 0
    while position < len(text):
        if plain := _PLAIN.match(text, position):
            yield plain[0].lower()
            position = plain.end()
            continue
        match, length = None, 0
        rewrite: Callable[[str], str] = _keep
        for pattern, of_rule in _RULES:
            found = pattern.match(text, position)
            if found and found.end() - position > length:
                match, rewrite, length = found, of_rule, found.end() - position
        if match is None:
            position += 1  # an unknown character
            continue
        end = match.start("next") if "next" in match.re.groupindex else match.end()
        token = text[position:end]
        position = end
        token = _REWRITTEN.get(token) or rewrite(token)
        if is_astral:
            token = token.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
        if token:
            yield token.replace(" ", "\u00a0").lower()


def _to_surrogates(match: "re.Match[str]") -> str:
    """Split a character in two UTF-16 code units, which is what the Java tokenizer sees."""
    units = match[0].encode("utf-16-le")
    return "".join(chr(int.from_bytes(units[start : start + 2], "little")) for start in (0, 2))
