"""Text from outside, fit for a terminal."""


def escape_control_characters(text: str) -> str:
    """The text with what a terminal would obey, hide or not know written as escapes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def printable(text: str) -> str:
    r"""As `escape_control_characters`, and `\` as an escape too: no two texts become one."""
    return escape_control_characters(text.replace("\\", r"\\"))


def reason(error: BaseException, longest: int | None = None) -> str:
    """What a library says of an error, on one line and of so many characters at most."""
    return " ".join(str(error).split())[:longest]


def quantity(count: int, noun: str) -> str:
    """Format a count with its noun in the right number: `1 image`, `2,000 images`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
