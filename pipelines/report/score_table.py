"""The score table: its columns, its footnotes, and what one must know to compare its rows with others."""

import itertools
from collections.abc import Callable, Sequence

from pipelines.report.contents import ReportContents, ScoreRow
from pipelines.report.wording import count
from schemas.scores import CaptionScores, in_order

_CONDITIONS: dict[str, Callable[[CaptionScores], str]] = {
    "Split": lambda scores: scores.split,
    "Images": lambda scores: count(scores.n),
    "Tokeniser": lambda scores: scores.tokeniser,
    "Document frequencies of CIDEr-D": lambda scores: scores.document_frequencies,
}


def metric_columns(contents: ReportContents) -> list[str]:
    """The metrics that a row has or that are published, in the usual order; what every row leaves out is only said."""
    named = {metric for row in contents.rows for metric in row.scores.metrics}
    named.update(metric for published in contents.published for metric in published.values)
    return in_order(named - {"perplexity"})  # which has a column of its own


def left_out_notes(rows: Sequence[ScoreRow], columns: Sequence[str]) -> dict[str, str]:
    """Reasons for missing metrics, as `METEOR: why` -> the mark in the table's cells; none where there is no column."""
    missing = {left_out_reason(row, metric): metric in columns for row in rows for metric in row.scores.left_out}
    marks = itertools.count(1)
    return {reason: f"[{next(marks)}]" if has_column else "" for reason, has_column in missing.items()}


def left_out_reason(row: ScoreRow, metric: str) -> str:
    """One line that says which metric is missing, and why."""
    return f"{metric}: {row.scores.left_out[metric]}"


def conditions(rows: Sequence[ScoreRow]) -> dict[str, dict[str, list[str]]]:
    """Term -> value -> labels of the rows it holds for; one value where all rows were scored alike."""
    found: dict[str, dict[str, list[str]]] = {}
    for term, condition in _CONDITIONS.items():
        labels: dict[str, list[str]] = {}
        for row in rows:
            labels.setdefault(condition(row.scores), []).append(row.label)
        found[term] = labels
    return found
