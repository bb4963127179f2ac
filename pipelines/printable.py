"""Names from outside, fit for a terminal."""


def printable(text: str) -> str:
    r"""The text with what a terminal would obey, hide or not know, and `\`, written as escapes; no two become one."""
    return "".join(
        sign if sign.isprintable() and sign != "\\" else sign.encode("unicode_escape").decode("ascii") for sign in text
    )
