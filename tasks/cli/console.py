"""Output of the subcommands: tables and progress with rich, JSON for programs."""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Progress = Callable[[float, str], None]
_LATEX = {sign: rf"\{sign}" for sign in "%&#_{}$"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
WIDEST = 10_000  # columns, where output goes to a file or another program: nothing is cut


def print_json(value: Any) -> None:
    """Print a value as JSON, in ASCII."""
    print(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print a table without lines, on a terminal folded to its width.

    Args:
        columns: Headings.
        rows: One text per column.
        right: Headings of the columns that are aligned right, numbers for example.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from schemas.text import escape_control_characters

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(escape_control_characters(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDEST, highlight=False).print(table)


def format_markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Format a table in Markdown.

    Args:
        columns: Headings.
        rows: Cells of each row.
        right: Headings of right-aligned columns.
    """
    rules = ["---:" if column in right else "---" for column in columns]
    cells = ([cell.replace("|", r"\|") for cell in row] for row in (columns, rules, *rows))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def format_latex(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Format a table as a LaTeX `tabular` with the rules of the package booktabs.

    Args:
        columns: Headings.
        rows: Cells of each row.
        right: Headings of right-aligned columns.
    """
    head, *body = [" & ".join(map(_escape_latex, row)) + r" \\" for row in (columns, *rows)]
    alignment = "".join("r" if column in right else "l" for column in columns)
    lines = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{alignment}}}", *lines, r"\end{tabular}"])


def _escape_latex(text: str) -> str:
    """Return a text for LaTeX; a minus before a number becomes one in print."""
    text = "".join(_LATEX.get(sign, sign) for sign in text)
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", text)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a progress bar on standard error, if it is a terminal; yield the function that updates it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=1.0)
        yield lambda fraction, message: bar.update(task, completed=fraction, description=message)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence the output of libraries that are imported in the block, and their later warnings."""
    logging.getLogger().setLevel(logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as in stages, see `tasks.runtime.forkserver`
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # libraries in C++ write to the descriptor, whatever the level
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
