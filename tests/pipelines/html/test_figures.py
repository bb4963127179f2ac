"""Figures that a page embeds as images."""

import base64
from xml.etree import ElementTree

from pipelines.html.figures import EmbeddedFigure, embed, new_figure


def draw(label: str) -> EmbeddedFigure:
    with new_figure(height=2.0) as figure:
        figure.subplots().set_title(label)
        return embed(figure, "a title")


def svg(figure: EmbeddedFigure) -> str:
    kind, _, content = figure.data_uri.partition(";base64,")
    assert kind == "data:image/svg+xml"
    return base64.b64decode(content, validate=True).decode()


def test_embed_gives_svg_with_the_same_bytes_for_equal_figures() -> None:
    assert draw("Scores") == draw("Scores")
    assert ElementTree.fromstring(svg(draw("Scores"))).tag == "{http://www.w3.org/2000/svg}svg"


def test_embed_shows_hostile_labels_as_text() -> None:
    label = "<script>alert(1)</script> $x_1$ & more"
    root = ElementTree.fromstring(svg(draw(label)))
    assert label in [element.text for element in root.iter()]
    assert not any(element.tag.endswith("}script") for element in root.iter())
