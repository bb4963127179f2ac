"""Random scenes: one to three things on a background, and their relative positions."""

from bisect import bisect
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, combinations
from typing import TypeVar

import numpy as np

Option = TypeVar("Option", bound=Hashable)
Color = tuple[int, int, int]  # red, green, blue in 0..255

SIDE = 96  # of the square image, in pixels

SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "heart")
CONTAINERS = ("circle", "square", "ring")  # shapes that a small thing fits into when they are large
COLORS: dict[str, Color] = {
    "red": (215, 30, 40),
    "orange": (250, 140, 20),
    "yellow": (250, 225, 40),
    "green": (30, 150, 60),
    "blue": (35, 70, 220),
    "purple": (140, 45, 175),
    "white": (252, 252, 252),
    "black": (15, 15, 18),
}
RADII = {"small": (8.0, 10.0), "medium": (13.0, 16.0), "large": (21.0, 26.0)}  # pixels; sizes do not touch

# Each background has two tones, the second for its texture.
BACKGROUNDS: dict[str, tuple[Color, Color]] = {
    "white": ((246, 246, 244), (205, 205, 203)),
    "grey": ((150, 150, 152), (112, 112, 114)),
    "black": ((18, 18, 20), (66, 66, 70)),
    "beige": ((228, 210, 172), (190, 170, 132)),
    "light blue": ((165, 208, 238), (120, 168, 205)),
    "pink": ((244, 176, 196), (212, 136, 160)),
}
TEXTURES = ("plain", "stripes", "checks", "dots", "gradient", "speckle")

_BACKGROUND_WEIGHTS = {"white": 0.3, "grey": 0.16, "black": 0.16, "beige": 0.12, "light blue": 0.14, "pink": 0.12}
_TEXTURE_WEIGHTS = {"plain": 0.45, "stripes": 0.13, "checks": 0.11, "dots": 0.11, "gradient": 0.1, "speckle": 0.1}
_SIZE_WEIGHTS = {"small": 0.22, "medium": 0.33, "large": 0.45}  # large ones often do not fit
_ARRANGEMENT_WEIGHTS = {"one": 0.42, "two": 0.28, "alike": 0.08, "nested": 0.08, "three": 0.14}

_MARGIN = 3.0  # least distance of a thing from the image's edge, in pixels
_GAP = 3.0  # least distance of two things' boxes, pixels
_CONTRAST = 85.0  # least distance in RGB of a thing from either tone of the background
# Centers are in three bands along each axis, with nothing between the bands, so that left, middle and right are plain.
_LOW = 34.0  # where the first band ends, pixels; the third is its mirror image
_MIDDLE = (40.0, 56.0)


@dataclass(frozen=True)
class Thing:
    """One shape in a scene.

    Attributes:
        shape: One of `SHAPES`.
        color: Key of `COLORS`.
        size: Key of `RADII`.
        x: Horizontal position of its center, in pixels from the left.
        y: Vertical position of its center, in pixels from the top.
        radius: Half the side of its box, in pixels.
    """

    shape: str
    color: str
    size: str
    x: float
    y: float
    radius: float

    @property
    def column(self) -> str:
        """Horizontal position: left, middle or right."""
        return _band(self.x, ("left", "middle", "right"))

    @property
    def row(self) -> str:
        """Vertical position: top, middle or bottom."""
        return _band(self.y, ("top", "middle", "bottom"))

    @property
    def corner_distance(self) -> float:
        """Distance of its center from the nearest corner, in pixels along the axis on which it is larger."""
        return max(min(self.x, SIDE - self.x), min(self.y, SIDE - self.y))


@dataclass(frozen=True)
class Scene:
    """Shapes on a background.

    Attributes:
        background: Key of `BACKGROUNDS`.
        texture: One of `TEXTURES`.
        things: The shapes, in drawing order.
    """

    background: str
    texture: str
    things: tuple[Thing, ...]


def pick(rng: np.random.Generator, weights: Mapping[Option, float]) -> Option:
    """Sample one of the keys in proportion to its weight; much faster than `Generator.choice`.

    Args:
        rng: Random generator.
        weights: Weight of each key.
    """
    edges = list(accumulate(weights.values()))
    return list(weights)[bisect(edges, rng.random() * edges[-1], hi=len(edges) - 1)]


def relation(a: Thing, b: Thing) -> str:
    """Describe the position of one shape relative to another.

    Returns:
        `inside`, `around`, `left`, `right`, `above` or `below`; the latter by the axis with the larger distance.
    """
    dx, dy = b.x - a.x, b.y - a.y
    if max(abs(dx), abs(dy)) < max(a.radius, b.radius):  # boxes are otherwise disjoint
        return "inside" if a.radius < b.radius else "around"
    if abs(dx) >= abs(dy):
        return "left" if dx > 0 else "right"
    return "above" if dy > 0 else "below"


def aligned(a: Thing, b: Thing) -> bool:
    """Return whether the two are in a row or in a column."""
    near, far = sorted((abs(a.x - b.x), abs(a.y - b.y)))
    return near < far / 2


def sample_scene(rng: np.random.Generator) -> Scene:
    """Sample a scene. Shapes differ in color, except for a pair of equal color and shape."""
    background = pick(rng, _BACKGROUND_WEIGHTS)
    texture = pick(rng, _TEXTURE_WEIGHTS)
    arrangement = pick(rng, _ARRANGEMENT_WEIGHTS)
    colors = [str(name) for name in rng.permutation([name for name in COLORS if _stands_out(name, background)])]
    shapes = [SHAPES[i] for i in rng.integers(len(SHAPES), size=3)]
    if arrangement == "nested":
        outer = _sample_thing(rng, CONTAINERS[rng.integers(len(CONTAINERS))], colors[0], "large")
        inner = Thing(shapes[1], colors[1], "small", outer.x, outer.y, _sample_radius(rng, "small"))
        return Scene(background, texture, (outer, inner))
    if arrangement == "alike":
        shapes, colors = [shapes[0]] * 2, [colors[0]] * 2
    count = {"one": 1, "two": 2, "alike": 2, "three": 3}[arrangement]
    while True:
        things = tuple(
            _sample_thing(rng, shape, color, pick(rng, _SIZE_WEIGHTS))
            for shape, color in zip(shapes[:count], colors[:count], strict=True)
        )
        if all(_apart(a, b) for a, b in combinations(things, 2)):
            return Scene(background, texture, things)


def _sample_thing(rng: np.random.Generator, shape: str, color: str, size: str) -> Thing:
    radius = _sample_radius(rng, size)
    return Thing(shape, color, size, _sample_center(rng, radius), _sample_center(rng, radius), radius)


def _sample_radius(rng: np.random.Generator, size: str) -> float:
    return round(rng.uniform(*RADII[size]), 1)


def _sample_center(rng: np.random.Generator, radius: float) -> float:
    edge = _MARGIN + radius
    spans = ((edge, _LOW), _MIDDLE, (SIDE - _LOW, SIDE - edge))
    return round(rng.uniform(*spans[rng.integers(3)]), 1)


def _band(center: float, names: tuple[str, str, str]) -> str:
    return names[0] if center <= _LOW else names[1] if center <= _MIDDLE[1] else names[2]


def _apart(a: Thing, b: Thing) -> bool:
    return max(abs(a.x - b.x), abs(a.y - b.y)) >= a.radius + b.radius + _GAP


@cache
def _stands_out(color: str, background: str) -> bool:
    return all(np.linalg.norm(np.subtract(COLORS[color], tone)) >= _CONTRAST for tone in BACKGROUNDS[background])
