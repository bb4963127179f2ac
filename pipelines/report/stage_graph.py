"""The stages as a graph: what was made from what, with state, time and size."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.patches import FancyBboxPatch

from pipelines.html.figures import BLUE, INK, ORANGE, inline_svg, new_figure
from pipelines.report.data import StageEntry
from pipelines.report.format import duration, size

_BOX_WIDTH, _BOX_HEIGHT = 1.64, 0.48  # inches
_COLUMN, _LAYER = 1.76, 0.86  # inches from one box to the next

Sources = Mapping[str, set[str]]


def stage_graph(entries: Sequence[StageEntry]) -> str:
    """A box a stage, above those that are made from it, as SVG.

    Artifacts of one stage share a box; an arrow that only shortens a way over other arrows is left out.
    """
    made: dict[str, list[StageEntry]] = {}
    for entry in entries:
        made.setdefault(entry.stage, []).append(entry)
    sources = {
        stage: {each.stage for entry in of_stage if entry.provenance for each in entry.provenance.upstream.values()}
        for stage, of_stage in made.items()
    }
    layers = _layers(sources)
    arrows = _arrows(sources, layers)
    columns = _columns(arrows, layers)
    places = {stage: (_COLUMN * (columns[stage] + 0.5), _LAYER * (layers[stage] + 0.5)) for stage in made}
    width, height = _COLUMN * (1 + max(columns.values())), _LAYER * (1 + max(layers.values()))
    with new_figure(height, width) as figure:
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(height, 0))
        for stage, (x, y) in places.items():
            _draw_box(axes, x, y, made[stage])
            for source in arrows[stage]:
                x_source, y_source = places[source]
                axes.annotate(
                    "",
                    (x, y - _BOX_HEIGHT / 2),
                    (x_source, y_source + _BOX_HEIGHT / 2),
                    arrowprops={"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0},
                )
        ways = (f"{stage} from {', '.join(sorted(arrows[stage])) or 'nothing'}" for stage in sources)
        return inline_svg(figure, "graph", "What was made from what", f"{'; '.join(ways)}.")


def _draw_box(axes: Any, x: float, y: float, of_stage: Sequence[StageEntry]) -> None:
    gone = sum(entry.provenance is None for entry in of_stage)
    corner = (x - _BOX_WIDTH / 2 + 0.06, y - _BOX_HEIGHT / 2 + 0.06)
    axes.add_patch(
        FancyBboxPatch(
            corner,
            _BOX_WIDTH - 0.12,
            _BOX_HEIGHT - 0.12,
            boxstyle="round,pad=0.06",
            facecolor="none",
            edgecolor=ORANGE if gone else BLUE,
            linestyle="--" if gone else "-",
            linewidth=1.5,
        )
    )
    number = f" × {len(of_stage)}" if len(of_stage) > 1 else ""
    state = f"{gone} gone" if gone else "complete"
    cost = f"{duration(sum(each.seconds for each in of_stage))}, {size(sum(each.size for each in of_stage))}"
    axes.text(x, y - 0.08, f"{of_stage[0].stage}{number}", ha="center", va="center", fontsize=8.5, fontweight="bold")
    axes.text(x, y + 0.1, f"{state}, {cost}", ha="center", va="center", fontsize=7.5)


def _layers(sources: Sources) -> dict[str, int]:
    """The longest way from a stage without sources; a way that comes back to a stage ends there."""
    layers: dict[str, int] = {}

    def layer(stage: str, way: frozenset[str]) -> int:
        if stage not in layers:
            before = [layer(source, way | {stage}) for source in sorted(sources.get(stage, ())) if source not in way]
            layers[stage] = 1 + max(before, default=-1)
        return layers[stage]

    for stage in sources:
        layer(stage, frozenset({stage}))
    return layers


def _arrows(sources: Sources, layers: Mapping[str, int]) -> dict[str, list[str]]:
    """The sources of each stage that lie above it and that no other of its sources comes from."""
    above = {stage: {each for each in of_stage if layers[each] < layers[stage]} for stage, of_stage in sources.items()}

    def reached(stage: str) -> set[str]:
        return above[stage].union(*map(reached, above[stage]))

    return {stage: sorted(direct - set().union(*map(reached, direct))) for stage, direct in above.items()}


def _columns(arrows: Mapping[str, Sequence[str]], layers: Mapping[str, int]) -> dict[str, int]:
    """A column of each stage: the free one in its layer that is nearest to the middle of those it is made from."""
    widest = max(Counter(layers.values()).values())
    columns: dict[str, int] = {}
    taken: set[tuple[int, int]] = set()
    for stage in sorted(arrows, key=lambda each: layers[each]):
        middle = fmean(columns[source] for source in arrows[stage]) if arrows[stage] else (widest - 1) / 2
        free = [column for column in range(widest) if (layers[stage], column) not in taken]
        columns[stage] = min(free, key=lambda column: abs(column - middle))
        taken.add((layers[stage], columns[stage]))
    return columns
