"""Text of untrusted origin for terminals and messages."""


def escape_control_characters(text: str) -> str:
    """Escape control, invisible and unknown characters."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def printable(text: str) -> str:
    r"""Escape as `escape_control_characters` does, and backslashes, so that different texts stay different."""
    return escape_control_characters(text.replace("\\", r"\\"))


def reason(error: BaseException, longest: int | None = None) -> str:
    """Summarize an exception of a library on one line of at most `longest` characters."""
    return " ".join(str(error).split())[:longest]


def quantity(count: int, noun: str) -> str:
    """Format a count with its noun in the right number: `1 image`, `2,000 images`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def install_hint(extra: str) -> str:
    """Ask to install an extra of this package, in words that hold for a checkout and for an installed wheel."""
    return f"run `pip install 'm-rnn[{extra}]'`"
