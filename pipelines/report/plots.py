"""Figures of the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from pipelines.html.figures import BLUE, INK, ORANGE, EmbeddedFigure, embed, new_figure
from pipelines.report.data import Epoch, ScoreRow, WordStatistics

_ROW_HEIGHT = 0.46  # inches


def interval_plot(rows: Sequence[ScoreRow], metric: str) -> EmbeddedFigure:
    """Plot a metric with its 95% confidence interval, for each row that has both."""
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
        axes.set_title(f"{metric} with 95% confidence interval")
        axes.set_ylim(len(shown) - 0.6, -0.95)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        values = (f"{row.label} {row.scores.metrics[metric]:.3f}" for row in shown)
        return embed(figure, f"{metric} by row: {'; '.join(values)}. The score table contains the intervals.")


_TRAIN: dict[str, Any] = {"color": ORANGE, "marker": "o", "linestyle": "--"}
_VAL: dict[str, Any] = {"color": BLUE, "marker": "s", "linestyle": "-"}


def loss_plot(curve: Sequence[Epoch]) -> EmbeddedFigure:
    """Plot training and validation loss by epoch, in bits per token."""
    train = [epoch.train_loss for epoch in curve]
    val = [epoch.val_loss for epoch in curve]
    return _plot(
        curve,
        {"training": (train, _TRAIN), "validation": (val, _VAL)},
        title="Loss by epoch (bits per token)",
        alt=f"Loss by epoch. Training: {_summarize(train)}. Validation: {_summarize(val)}.",
    )


def perplexity_plot(curve: Sequence[Epoch]) -> EmbeddedFigure:
    """Plot training and validation perplexity by epoch."""
    train = [epoch.train_perplexity for epoch in curve]
    val = [epoch.val_perplexity for epoch in curve]
    return _plot(
        curve,
        {"training": (train, _TRAIN), "validation": (val, _VAL)},
        title="Perplexity by epoch",
        alt=f"Perplexity by epoch. Training: {_summarize(train)}. Validation: {_summarize(val)}.",
    )


def cider_plot(curve: Sequence[Epoch]) -> EmbeddedFigure:
    """Plot CIDEr-D of generated validation captions by epoch; a ring marks the selected epoch."""
    cider = [epoch.val_cider for epoch in curve]
    best = best_epoch(curve)
    return _plot(
        curve,
        {"validation": (cider, _VAL)},
        title="CIDEr-D of validation captions by epoch",
        alt=f"CIDEr-D by epoch: {_summarize(cider)}. Epoch {best.number} was selected ({best.val_cider:.3f}).",
        ringed=(best.number, best.val_cider, f"selected: epoch {best.number}"),
    )


def best_epoch(curve: Sequence[Epoch]) -> Epoch:
    """Return the epoch whose weights were selected: the first with the highest score."""
    return max(curve, key=lambda epoch: epoch.score)


def _plot(
    curve: Sequence[Epoch],
    lines: dict[str, tuple[list[float], dict[str, Any]]],
    *,
    title: str,
    alt: str,
    ringed: tuple[int, float, str] | None = None,
) -> EmbeddedFigure:
    with new_figure(height=3.1) as figure:
        axes = figure.subplots()
        for label, (values, style) in lines.items():
            axes.plot([epoch.number for epoch in curve], values, label=label, **style)
        if ringed is not None:
            x, y, label = ringed
            axes.plot([x], [y], "o", markersize=11, markerfacecolor="none", color=INK, label=label)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend()
        return embed(figure, alt)


def _summarize(values: Sequence[float]) -> str:
    return f"from {values[0]:.3f} in the first epoch to {values[-1]:.3f} in the last"


_WORD_HEIGHT = 0.3  # inches


def lengths_plot(words: WordStatistics) -> EmbeddedFigure:
    """Plot the distribution of caption lengths."""
    lengths = list(words.lengths)
    generated, references = (np.array([words.lengths[each][side] for each in lengths]) for side in (0, 1))
    with new_figure(height=3.1) as figure:
        axes = figure.subplots()
        axes.plot(lengths, 100 * generated, color=BLUE, marker="s", label="generated")
        axes.plot(lengths, 100 * references, color=ORANGE, marker="o", linestyle="--", label="references")
        axes.set_title("Caption length")
        axes.set_xlabel("words")
        axes.set_ylabel("% of captions")
        axes.legend()
        means = [float(np.dot(lengths, side)) for side in (generated, references)]
        return embed(
            figure,
            f"Distribution of caption lengths. Generated captions have {means[0]:.1f} words on average, "
            f"references {means[1]:.1f}.",
        )


def frequency_plot(words: WordStatistics) -> EmbeddedFigure:
    """Plot the frequencies of the most frequent reference words, in the captions and in the references."""
    places = np.arange(len(words.frequent))
    with new_figure(height=0.9 + _WORD_HEIGHT * len(places)) as figure:
        axes = figure.subplots()
        axes.barh(places - 0.2, [each.generated for each in words.frequent], 0.36, color=BLUE, label="generated")
        axes.barh(
            places + 0.2,
            [each.references for each in words.frequent],
            0.36,
            color=ORANGE,
            hatch="///",
            edgecolor=ORANGE,
            fill=False,
            label="references",
        )
        axes.set_yticks(places, [each.word for each in words.frequent])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_title("Most frequent words (per thousand words)")
        axes.legend(loc="lower right")
        frequencies = (f"{each.word} {each.generated:.0f} and {each.references:.0f}" for each in words.frequent)
        return embed(
            figure,
            "Most frequent words of the references, per thousand words of the captions and of the references: "
            f"{'; '.join(frequencies)}.",
        )
