"""Lengths and words of the captions, beside those of their references."""

import numpy as np

from pipelines.report.contents import WordStatistics
from pipelines.report.drawing import BLUE, ORANGE, new_figure
from pipelines.report.svg import inline_svg

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
