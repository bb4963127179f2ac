"""Rendering of the report as one self-contained HTML file."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.html.figures import EmbeddedFigure
from pipelines.html.page import render_page
from pipelines.report.data import ReportContents, ScoreRow
from pipelines.report.format import count, duration, percent, plain, score, size, statistic
from pipelines.report.plots import (
    best_epoch,
    cider_plot,
    frequency_plot,
    interval_plot,
    lengths_plot,
    loss_plot,
    perplexity_plot,
)
from pipelines.report.published_results import MARKS, PUBLISHED_GAIN
from pipelines.report.run_facts import headline, run_facts
from schemas.scores import CaptionScores, in_order
from schemas.text import quantity

_CONDITIONS: dict[str, Callable[[CaptionScores], str]] = {
    "Split": lambda scores: scores.split,
    "Images": lambda scores: count(scores.n),
    "Tokenizer": lambda scores: scores.tokenizer,
    "Document frequencies of CIDEr-D": lambda scores: scores.document_frequencies,
}


def metric_columns(contents: ReportContents) -> list[str]:
    """List the metrics that a row or a published result has, in the usual order; all others get no column."""
    named = {metric for row in contents.rows for metric in row.scores.metrics}
    named.update(metric for published in contents.published for metric in published.values)
    return in_order(named - {"perplexity"})  # perplexity has its own column


def left_out_notes(rows: Sequence[ScoreRow], columns: Sequence[str]) -> dict[str, str]:
    """Number the reasons for missing metrics.

    Args:
        rows: Score table.
        columns: Metrics that have a column.

    Returns:
        The mark in the cells of the table (empty if the metric has no column) by reason, such as `METEOR: no Java`.
    """
    missing = {left_out_reason(row, metric): metric in columns for row in rows for metric in row.scores.left_out}
    marks = itertools.count(1)
    return {reason: f"[{next(marks)}]" if has_column else "" for reason, has_column in missing.items()}


def left_out_reason(row: ScoreRow, metric: str) -> str:
    """Return which metric is missing and why, in one line."""
    return f"{metric}: {row.scores.left_out[metric]}"


def conditions(rows: Sequence[ScoreRow]) -> dict[str, dict[str, list[str]]]:
    """Collect the conditions of scoring: term -> value -> labels of the rows that the value holds for."""
    found: dict[str, dict[str, list[str]]] = {}
    for term, condition in _CONDITIONS.items():
        labels: dict[str, list[str]] = {}
        for row in rows:
            labels.setdefault(condition(row.scores), []).append(row.label)
        found[term] = labels
    return found


LISTED = 100  # maximum number of problems shown; the artifact has all of them
COMPARED = ("CIDEr-D", "BLEU-4")  # metrics whose intervals are plotted
_TEMPLATES = Path(__file__).parent / "templates"


def render_report(contents: ReportContents) -> str:
    """Render the report as HTML. The same contents give the same text.

    Args:
        contents: The content of the report; `render_page` escapes all of it.
    """
    marks = {each.mark for each in contents.published} | {each.mark for each in contents.published_retrieval}
    if contents.gain:
        marks.add(PUBLISHED_GAIN.mark)
    metrics = metric_columns(contents)
    return render_page(
        _TEMPLATES / "report.html",
        (_TEMPLATES / "report.js").read_text(encoding="utf-8"),
        (score, count, statistic, percent, size, duration, plain, quantity),
        contents=contents,
        **_plots(contents),
        selected=best_epoch(contents.curve).number if contents.curve else None,
        headline=headline(contents),
        facts=run_facts(contents),
        metrics=metrics,
        notes=left_out_notes(contents.rows, metrics),
        left_out_reason=left_out_reason,
        conditions=conditions(contents.rows),
        marks={mark: meaning for mark, meaning in MARKS.items() if mark in marks},
        published_gain=PUBLISHED_GAIN,
        listed=LISTED,
    )


def _plots(contents: ReportContents) -> dict[str, list[EmbeddedFigure]]:
    curves = (loss_plot, perplexity_plot, cider_plot) if contents.curve else ()
    return {
        "interval_plots": [
            interval_plot(contents.rows, metric)
            for metric in COMPARED
            if any(metric in row.scores.intervals for row in contents.rows)
        ],
        "training_plots": [plot(contents.curve) for plot in curves],
        "word_plots": [plot(contents.words) for plot in (frequency_plot, lengths_plot)],
    }
