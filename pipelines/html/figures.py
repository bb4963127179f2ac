"""From a matplotlib figure to SVG that can stand inside an HTML page."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

WIDTH = 5.0  # inches; at the width of a phone, text keeps its size
# Mid tones: at least 3:1 against a white and against a nearly black page; shape, dashes or place tell them apart, too.
INK = "#000001"  # figures are drawn in this color where the page's own text color is to appear
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


_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_SVG_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "m-rnn",  # ids are then a function of the figure
    "svg.fonttype": "none",  # text stays text
}


def inline_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an `<svg>` element with alternative texts; `name` makes its ids unique in the page.

    Styles become presentation attributes, for the page's security policy forbids style attributes; colors that are
    `INK` become `currentColor`, so that the figure follows the page into dark mode. Equal figures give equal texts.
    """
    stream = io.StringIO()
    with matplotlib.rc_context(_SVG_SETTINGS):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    _remove(root, "metadata", "style")
    referenced = set(re.findall(r'(?:href="#|url\(#)([^")]+)', stream.getvalue()))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = _attributes(element.attrib, name, referenced)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labeledby": f"{name}-title {name}-description",
        "class": "plot",
    }
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'description'}"})
        element.text = text
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode")


def _remove(root: ElementTree.Element, *tags: str) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in tags:
                parent.remove(child)


def _attributes(attributes: dict[str, str], name: str, referenced: set[str]) -> dict[str, str]:
    result = {}
    for key, value in attributes.items():
        if key == "style":
            declarations = (declaration.split(":", 1) for declaration in value.split(";") if declaration.strip())
            styles = {each.strip(): setting.strip().replace(INK, "currentColor") for each, setting in declarations}
            styles.pop("font-family", None)  # the page's font
            result.update(styles)
        elif key == _XLINK_HREF:
            result["href"] = f"#{name}-{value.removeprefix('#')}"
        elif key != "id":
            result[key] = value.replace("url(#", f"url(#{name}-")
        elif value in referenced:
            result["id"] = f"{name}-{value}"
    return result
