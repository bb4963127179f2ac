"""Formatting of values; these functions are the filters of the templates."""

from typing import Any


def score(value: float) -> str:
    """Format with three decimals."""
    return f"{value:.3f}"


def count(value: int) -> str:
    """Format with thousands separators."""
    return f"{value:,}"


def statistic(value: float) -> str:
    """Format an integer as a count and a float with three decimals."""
    return count(value) if isinstance(value, int) else score(value)


def percent(part: float, whole: float) -> str:
    """Format `part` as a percentage of `whole`; a dash if `whole` is 0."""
    return f"{100 * part / whole:.1f}%" if whole else "–"


def size(value: float) -> str:
    """Format a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def duration(seconds: float) -> str:
    """Format as seconds, minutes, or hours and minutes."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def plain(value: Any) -> str:
    """Format a JSON value of a provenance record as plain text: `train 900, test 200`."""
    if isinstance(value, dict):
        return ", ".join(
            f"{name} ({plain(each)})" if isinstance(each, dict) else f"{name} {plain(each)}"
            for name, each in value.items()
        )
    if isinstance(value, list):
        return "[" + ", ".join(plain(each) for each in value) + "]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if value is None else str(value)
