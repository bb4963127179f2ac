"""CSV tables that are safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.io.files import write_text

_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")  # OWASP, "CSV Injection"


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int | float | None]]) -> None:
    """Write a table atomically; text that a spreadsheet would read as a formula is prefixed with an apostrophe.

    Args:
        path: The CSV file.
        header: Column names.
        rows: Cells of each row; None becomes an empty cell.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(header)
    writer.writerows([_escape_formula(cell) for cell in row] for row in rows)
    write_text(path, stream.getvalue())


def _escape_formula(cell: str | int | float | None) -> str | int | float | None:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_SIGNS) else cell
