"""From `ReportContents` to one HTML file that needs nothing else: styles, script and pictures are inside it."""

from pathlib import Path

from markupsafe import Markup

from pipelines.pages.render import render_page
from pipelines.report.contents import ReportContents
from pipelines.report.facts import headline, run_facts
from pipelines.report.published import MARKS
from pipelines.report.score_plots import interval_plot
from pipelines.report.score_table import conditions, left_out_notes, left_out_reason, metric_columns
from pipelines.report.stage_graph import stage_graph
from pipelines.report.training_plots import best_epoch, cider_plot, loss_plot, perplexity_plot
from pipelines.report.word_plots import frequency_plot, lengths_plot
from pipelines.report.wording import count, duration, in_words, percent, score, size, statistic

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
