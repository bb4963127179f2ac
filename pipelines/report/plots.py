"""Scores with their intervals, row by row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from pipelines.html.figures import BLUE, INK, ORANGE, inline_svg, new_figure
from pipelines.report.data import Epoch, ScoreRow, WordStatistics

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


_TRAIN: dict[str, Any] = {"color": ORANGE, "marker": "o", "linestyle": "--"}
_VAL: dict[str, Any] = {"color": BLUE, "marker": "s", "linestyle": "-"}


def loss_plot(curve: Sequence[Epoch]) -> str:
    """The training cost and the validation loss by epoch, in bits a word, as SVG."""
    train = [epoch.train_cost for epoch in curve]
    val = [epoch.val_cost for epoch in curve]
    return _plot(
        curve,
        {"training": (train, _TRAIN), "validation": (val, _VAL)},
        name="loss",
        title="Loss by epoch, bits a word",
        description=f"Training loss: {_course(train)}. Validation loss: {_course(val)}.",
    )


def perplexity_plot(curve: Sequence[Epoch]) -> str:
    """Training and validation perplexity by epoch, as SVG."""
    train = [epoch.train_perplexity for epoch in curve]
    val = [epoch.val_perplexity for epoch in curve]
    return _plot(
        curve,
        {"training": (train, _TRAIN), "validation": (val, _VAL)},
        name="perplexity",
        title="Perplexity by epoch",
        description=f"Training perplexity: {_course(train)}. Validation perplexity: {_course(val)}.",
    )


def cider_plot(curve: Sequence[Epoch]) -> str:
    """CIDEr-D of generated validation captions by epoch, as SVG; the epoch that was kept is ringed."""
    cider = [epoch.val_cider for epoch in curve]
    best = best_epoch(curve)
    return _plot(
        curve,
        {"validation": (cider, _VAL)},
        name="cider",
        title="CIDEr-D of validation captions by epoch",
        description=f"CIDEr-D: {_course(cider)}. Epoch {best.number} was kept, with {best.val_cider:.3f}.",
        ringed=(best.number, best.val_cider, f"kept: epoch {best.number}"),
    )


def best_epoch(curve: Sequence[Epoch]) -> Epoch:
    """The epoch whose weights were kept: the first with the highest score."""
    return max(curve, key=lambda epoch: epoch.score)


def _plot(
    curve: Sequence[Epoch],
    lines: dict[str, tuple[list[float], dict[str, Any]]],
    *,
    name: str,
    title: str,
    description: str,
    ringed: tuple[int, float, str] | None = None,
) -> str:
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
        return inline_svg(figure, name, title, description)


def _course(values: Sequence[float]) -> str:
    return f"from {values[0]:.3f} in the first epoch to {values[-1]:.3f} in the last"


_HEIGHT_OF_A_WORD = 0.3  # inches


def lengths_plot(words: WordStatistics) -> str:
    """Share of the captions by their number of words, as SVG."""
    lengths = list(words.lengths)
    generated, references = (np.array([words.lengths[each][side] for each in lengths]) for side in (0, 1))
    with new_figure(height=3.1) as figure:
        axes = figure.subplots()
        axes.plot(lengths, 100 * generated, color=BLUE, marker="s", label="generated")
        axes.plot(lengths, 100 * references, color=ORANGE, marker="o", linestyle="--", label="references")
        axes.set_title("Words of a caption")
        axes.set_xlabel("words")
        axes.set_ylabel("% of the captions")
        axes.legend()
        means = [float(np.dot(lengths, side)) for side in (generated, references)]
        return inline_svg(
            figure,
            "lengths",
            "Share of the captions by their number of words",
            f"Generated captions have {means[0]:.1f} words on average, references {means[1]:.1f}.",
        )


def frequency_plot(words: WordStatistics) -> str:
    """The most frequent words of the references, with their share on both sides, as SVG."""
    places = np.arange(len(words.frequent))
    with new_figure(height=0.9 + _HEIGHT_OF_A_WORD * len(places)) as figure:
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
        axes.set_title("Most frequent words, per thousand")
        axes.legend(loc="lower right")
        shares = (f"{each.word} {each.generated:.0f} and {each.references:.0f}" for each in words.frequent)
        return inline_svg(
            figure,
            "frequency",
            "The most frequent words of the references",
            f"Per thousand words of the generated captions and of the references: {'; '.join(shares)}.",
        )
