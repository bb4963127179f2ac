"""Scores with their intervals, row by row."""

from collections.abc import Sequence

from pipelines.report.contents import ScoreRow
from pipelines.report.drawing import BLUE, new_figure
from pipelines.report.svg import inline_svg

_ROW_HEIGHT = 0.46  # inches


def interval_plot(rows: Sequence[ScoreRow], metric: str) -> str:
    """The metric of each row that has it, with its 95 % interval, as SVG; names stand above the intervals."""
    shown = [row for row in rows if metric in row.scores.metrics and metric in row.scores.intervals]
    with new_figure(height=0.8 + _ROW_HEIGHT * len(shown)) as figure:
        axes = figure.subplots()
        for place, row in enumerate(shown):
            low, high = row.scores.intervals[metric]
            value = row.scores.metrics[metric]
            axes.plot([low, high], [place, place], color=BLUE, linewidth=2, marker="|", markersize=9)
            axes.plot([value], [place], "o", color=BLUE)
            axes.annotate(
                row.label, (0, place), xycoords=("axes fraction", "data"), xytext=(2, 7), textcoords="offset points"
            )
        axes.set_title(f"{metric} and its 95 % interval")
        axes.set_ylim(len(shown) - 0.6, -0.95)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        values = (f"{row.label} {row.scores.metrics[metric]:.3f}" for row in shown)
        return inline_svg(
            figure,
            f"interval-{metric.lower()}",
            f"{metric} of each row with its 95 % interval",
            f"{'; '.join(values)}. The intervals are in the score table.",
        )
