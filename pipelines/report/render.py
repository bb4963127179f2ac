"""From `ReportContents` to one HTML file that needs nothing else: styles, script and pictures are inside it."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from markupsafe import Markup

from pipelines.html.page import render_page
from pipelines.report.data import ReportContents, ScoreRow
from pipelines.report.format import count, duration, in_words, percent, score, size, statistic
from pipelines.report.plots import (
    best_epoch,
    cider_plot,
    frequency_plot,
    interval_plot,
    lengths_plot,
    loss_plot,
    perplexity_plot,
)
from pipelines.report.published_results import MARKS
from pipelines.report.run_facts import headline, run_facts
from pipelines.report.stage_graph import stage_graph
from schemas.scores import CaptionScores, in_order

_CONDITIONS: dict[str, Callable[[CaptionScores], str]] = {
    "Split": lambda scores: scores.split,
    "Images": lambda scores: count(scores.n),
    "Tokenizer": lambda scores: scores.tokenizer,
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


LISTED = 100  # problems that are shown; the artifact has them all
COMPARED = ("CIDEr-D", "BLEU-4")  # whose intervals are drawn
_FOLDER = Path(__file__).parent / "templates"


def render_report(contents: ReportContents) -> str:
    """The report as HTML. The same contents give the same text.

    Whatever comes from artifacts is escaped, see `render_page`.
    """
    marks = {each.mark for each in contents.published} | {each.mark for each in contents.published_retrieval}
    metrics = metric_columns(contents)
    return render_page(
        _FOLDER / "report.html",
        (_FOLDER / "report.js").read_text(encoding="utf-8"),
        (score, count, statistic, percent, size, duration, in_words),
        contents=contents,
        **{name: [Markup(plot) for plot in plots] for name, plots in _plots(contents).items()},
        kept=best_epoch(contents.curve).number if contents.curve else None,
        headline=headline(contents),
        facts=run_facts(contents),
        metrics=metrics,
        notes=left_out_notes(contents.rows, metrics),
        left_out_reason=left_out_reason,
        conditions=conditions(contents.rows),
        marks={mark: meaning for mark, meaning in MARKS.items() if mark in marks},
        listed=LISTED,
    )


def _plots(contents: ReportContents) -> dict[str, list[str]]:
    curves = (loss_plot, perplexity_plot, cider_plot) if contents.curve else ()
    return {
        "interval_plots": [
            interval_plot(contents.rows, metric)
            for metric in COMPARED
            if any(metric in row.scores.intervals for row in contents.rows)
        ],
        "training_plots": [plot(contents.curve) for plot in curves],
        "word_plots": [plot(contents.words) for plot in (frequency_plot, lengths_plot)],
        "graphs": [stage_graph(contents.stages)],
    }
