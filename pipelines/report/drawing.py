"""How the report's figures look: small enough for a phone, told apart without colour, right on light and dark pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from pipelines.report.svg import INK

WIDTH = 5.0  # inches; at the width of a phone, text keeps its size
# Mid tones: at least 3:1 against a white and against a nearly black page; shape, dashes or place tell them apart, too.
ORANGE, BLUE = "#c2660a", "#2f7fd0"
_SETTINGS: dict[Any, Any] = {
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "lines.markersize": 5,
    "legend.frameon": False,
}


@contextmanager
def new_figure(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """A figure in the report's style, in inches; draw it and turn it into SVG inside the block."""
    with matplotlib.rc_context(_SETTINGS):
        yield Figure(figsize=(width, height), layout="constrained")
