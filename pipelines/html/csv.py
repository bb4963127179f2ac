"""CSV that spreadsheets show as it is: no text in it is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.io.files import write_text

_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")  # OWASP, "CSV Injection"


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int | float | None]]) -> None:
    """Writes the table atomically; before text that begins like a formula stands an apostrophe."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    write_text(path, stream.getvalue())


def _harmless(cell: str | int | float | None) -> str | int | float | None:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_SIGNS) else cell
