"""Scores of runs with their intervals, drawn with matplotlib without a display."""

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from pipelines.artifacts.compare_runs.runs import Run
from pipelines.html.figures import INK, inline_svg

_COLOR = "#2f7fd0"  # at least 3:1 against a white and against a nearly black page
_ROW = 0.24  # height of a run, inches
_SETTINGS: dict[Any, Any] = {
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "grid.color": INK,
    "grid.alpha": 0.15,
    "text.parse_math": False,  # names are shown as they are
}


def metric_plot(runs: Sequence[Run], metric: str, name: str) -> str:
    """The metric of each run that has it, with its 95 % interval, as SVG; the best on top."""
    having = sorted(
        (run for run in runs if metric in run.scores.metrics), key=lambda run: run.scores.metrics[metric], reverse=True
    )
    best, last = having[0], having[-1]
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(5, 1.2 + _ROW * len(having)), layout="constrained")
        axes = figure.subplots()
        for row, run in enumerate(having):
            value = run.scores.metrics[metric]
            low, high = run.scores.intervals.get(metric, (value, value))
            axes.plot([low, high], [row, row], color=_COLOR)
            axes.plot([value], [row], "o", color=_COLOR, markersize=5)
        axes.set_yticks(range(len(having)), [f"{run.key} {run.scores.captions}" for run in having])
        axes.set_ylim(len(having) - 0.5, -0.5)
        axes.set_title(f"{metric} with 95 % intervals", loc="left")
        return inline_svg(
            figure,
            name,
            f"{metric} of {len(having)} runs",
            f"{metric} is highest, {best.scores.metrics[metric]:.3f}, in run {best.key} ({best.scores.captions}), and "
            f"lowest, {last.scores.metrics[metric]:.3f}, in run {last.key} ({last.scores.captions}); see the table.",
        )
