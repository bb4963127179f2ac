"""Figure of the scores of several runs."""

from collections.abc import Sequence

from pipelines.artifacts.compare_runs.runs import Run
from pipelines.html.figures import BLUE, EmbeddedFigure, embed, new_figure

_ROW_HEIGHT = 0.24  # inches


def metric_plot(runs: Sequence[Run], metric: str) -> EmbeddedFigure:
    """Plot a metric with its 95% confidence interval for each run that has it, the best on top.

    Args:
        runs: The runs, at least one of which has the metric.
        metric: Name of the metric.
    """
    scored = sorted(
        (run for run in runs if metric in run.scores.metrics), key=lambda run: run.scores.metrics[metric], reverse=True
    )
    best, worst = scored[0], scored[-1]
    with new_figure(height=1.2 + _ROW_HEIGHT * len(scored)) as figure:
        axes = figure.subplots()
        for row, run in enumerate(scored):
            value = run.scores.metrics[metric]
            low, high = run.scores.intervals.get(metric, (value, value))
            axes.plot([low, high], [row, row], color=BLUE)
            axes.plot([value], [row], "o", color=BLUE)
        axes.set_yticks(range(len(scored)), [f"{run.key} {run.scores.captions}" for run in scored])
        axes.set_ylim(len(scored) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_title(f"{metric} with 95% confidence interval")
        return embed(
            figure,
            f"{metric} of {len(scored)} {'run' if len(scored) == 1 else 'runs'}: highest in run {best.key} "
            f"({best.scores.captions}) with {best.scores.metrics[metric]:.3f}, lowest in run {worst.key} "
            f"({worst.scores.captions}) with {worst.scores.metrics[metric]:.3f}; see the table.",
        )
