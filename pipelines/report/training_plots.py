"""The training curves, drawn with matplotlib without a display."""

from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator

from pipelines.report.contents import Epoch
from pipelines.report.drawing import BLUE, ORANGE, new_figure
from pipelines.report.svg import INK, inline_svg

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
