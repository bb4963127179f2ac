"""Comparison of runs on a terminal, as CSV, and as an HTML page with plots."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from pipelines.artifacts.compare_runs.plots import metric_plot
from pipelines.artifacts.compare_runs.runs import Run, differences, metrics_of
from pipelines.html.csv import write_csv
from pipelines.html.page import render_page
from schemas.io.files import write_text
from schemas.text import printable

PLOTTED = ("CIDEr-D", "BLEU-4")


def duration(run: Run) -> str:
    """Return the total time of all stages, with a mark if that of a deleted artifact is unknown."""
    return f"{'> ' if run.lost else ''}{timedelta(seconds=round(run.seconds))}"


def format_runs(runs: Sequence[Run]) -> str:
    """Return one table per dataset and split; parameters that differ are in the last columns."""
    lines = []
    for group in groups(runs):
        columns = metrics_of(group)
        lines.append(f"{printable(group[0].dataset)}, {printable(group[0].scores.split)} split")
        lines.append(
            " ".join(f"{name:>10}" for name in [*columns, "perplexity", "images", "time"]) + "  key         differs"
        )
        for run, differing in zip(group, differences(group), strict=True):
            metrics = run.scores.metrics
            cells = [f"{metrics[name]:10.3f}" if name in metrics else f"{'-':>10}" for name in columns]
            cells += [f"{run.scores.perplexity:10.3f}", f"{run.scores.n:10d}", f"{duration(run):>10}"]
            words = ", ".join(f"{name} {value}" for name, value in differing.items())
            lines.append(" ".join(cells) + f"  {run.key}  {printable(words)}")
        lines.append("")
    return "\n".join(lines)


def runs_as_records(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Convert runs to JSON records of scores, time in seconds, and the parameters in which the runs differ."""
    return [
        {
            "dataset": run.dataset,
            "split": run.scores.split,
            "key": run.key,
            "captions": run.scores.captions,
            "metrics": dict(run.scores.metrics),
            "perplexity": run.scores.perplexity,
            "images": run.scores.n,
            "seconds": run.seconds,
            "made": run.made,
            "parameters": differing,
        }
        for run, differing in zip(runs, differences(runs), strict=True)
    ]


def write_runs_csv(path: Path, runs: Sequence[Run]) -> None:
    """Write one row per run, with a column for each metric and each parameter that differs."""
    metrics = metrics_of(runs)
    differing = differences(runs)
    names = list(dict.fromkeys(name for each in differing for name in each))
    write_csv(
        path,
        ["dataset", "split", "key", "captions", *metrics, "perplexity", "images", "seconds", "made", *names],
        (
            [
                *(run.dataset, run.scores.split, run.key, run.scores.captions),
                *(run.scores.metrics.get(metric) for metric in metrics),
                *(run.scores.perplexity, run.scores.n, run.seconds, run.made),
                *(each.get(name) for name in names),
            ]
            for run, each in zip(runs, differing, strict=True)
        ),
    )


def write_runs_page(path: Path, runs: Sequence[Run], problems: Sequence[str]) -> None:
    """Write an HTML page with a table and plots per dataset and split.

    Args:
        path: File to write.
        runs: Runs, see `find_runs`.
        problems: One sentence per unreadable score sheet.
    """
    shown = [
        {
            "title": f"{group[0].dataset}, {group[0].scores.split} split",
            "runs": list(zip(group, differences(group), strict=True)),
            "metrics": metrics_of(group),
            "plots": [metric_plot(group, metric) for metric in PLOTTED if metric in metrics_of(group)],
        }
        for group in groups(runs)
    ]
    page = render_page(
        Path(__file__).with_name("runs.html"), groups=shown, total=len(runs), problems=problems, duration=duration
    )
    write_text(path, page)


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Group comparable runs, those of one dataset and split."""
    return [list(group) for _, group in groupby(runs, key=lambda run: (run.dataset, run.scores.split))]
