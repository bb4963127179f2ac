"""Values as a reader wants them: the filters of the templates."""

from typing import Any


def score(value: float) -> str:
    """Three decimals."""
    return f"{value:.3f}"


def count(value: int) -> str:
    """With thousands set apart."""
    return f"{value:,}"


def statistic(value: float) -> str:
    """A count, or else three decimals."""
    return count(value) if isinstance(value, int) else score(value)


def percent(part: float, whole: float) -> str:
    """The share of `part` in `whole`, if there is any."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def size(value: float) -> str:
    """Bytes, in the unit that suits."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds, minutes, or hours and minutes."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def in_words(value: Any) -> str:
    """A value of a provenance record: `train 900, test 200` and not JSON."""
    if isinstance(value, dict):
        return ", ".join(
            f"{name} ({in_words(each)})" if isinstance(each, dict) else f"{name} {in_words(each)}"
            for name, each in value.items()
        )
    if isinstance(value, list):
        return "[" + ", ".join(in_words(each) for each in value) + "]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if value is None else str(value)
