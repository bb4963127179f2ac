"""Matplotlib figures as images that are embedded in an HTML page."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

WIDTH = 5.0  # inches; text keeps its size on the screen of a phone
INK, ORANGE, BLUE = "#1c2126", "#b4560a", "#1f6fc0"  # at least 4.5:1 against white, the background of every figure
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
    "text.parse_math": False,  # labels come from artifacts and may contain dollar signs
    "svg.hashsalt": "m-rnn",  # makes the ids in the SVG, and therefore its bytes, reproducible
    "svg.fonttype": "none",  # text stays text, which is smaller than outlines
}


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure as an image.

    Attributes:
        data_uri: The figure as SVG in a `data:` URI, which the content security policy of the pages admits.
        alt: The alternative text.
    """

    data_uri: str
    alt: str


@contextmanager
def new_figure(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """Create a figure in the style of the pages; draw and embed it inside the `with` block.

    Args:
        height: Height in inches.
        width: Width in inches.
    """
    with matplotlib.rc_context(_SETTINGS):
        yield Figure(figsize=(width, height), layout="constrained")


def embed(figure: Figure, alt: str) -> EmbeddedFigure:
    """Encode a figure for an `<img>` element. Equal figures give equal bytes.

    Args:
        figure: A figure made by `new_figure`.
        alt: The alternative text: what is plotted, and its main numbers.
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    return EmbeddedFigure("data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode("ascii"), alt)
