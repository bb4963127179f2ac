"""Drawing of a scene: textured background, anti-aliased shapes, pixel noise."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from pipelines.data.datasets.shapes.scene import BACKGROUNDS, COLORS, SIDE, Color, Scene, Thing

_SCALE = 4  # supersampling factor of shapes
_CANVAS = SIDE * _SCALE
_NOISE = 4.0  # standard deviation of the noise of each channel, in grey levels of 255
_GRAIN = 3  # side of a speck, in pixels of the image
_RING_WIDTH = 0.32  # of a ring's radius; leaves a hole that a small thing fits into


def draw_scene(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Return the image of `scene`, RGB, 96 x 96.

    `rng` supplies what no caption speaks of: the period and phase of the texture, and the noise.
    """
    image = Image.fromarray(_texture(scene.texture, rng))
    image.putpalette(_tones(*BACKGROUNDS[scene.background]))
    image = image.convert("RGB")
    draw = ImageDraw.Draw(image)
    for thing in scene.things:
        _draw_thing(draw, thing)
    pixels = np.asarray(image.reduce(_SCALE), dtype=np.float64)
    noisy = pixels + rng.normal(scale=_NOISE, size=pixels.shape)
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


def _texture(name: str, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw the weight of the second tone at each pixel of the canvas, (_CANVAS, _CANVAS) in 0..255."""
    period = rng.uniform(10, 16)  # in pixels of the image, as are x (1, _CANVAS) and y (_CANVAS, 1)
    steps = np.arange(_CANVAS, dtype=np.float32) / _SCALE
    y, x = np.meshgrid(steps + rng.uniform(0, period), steps + rng.uniform(0, period), indexing="ij", sparse=True)
    share: npt.ArrayLike
    if name == "plain":
        share = 0.0
    elif name == "stripes":
        share = (x, y, x + y)[rng.integers(3)] // (period / 2) % 2
    elif name == "checks":
        share = (x // period + y // period) % 2
    elif name == "dots":
        share = np.hypot(x % period - period / 2, y % period - period / 2) < period / 4
    elif name == "gradient":
        share = (steps, steps[::-1], steps[:, np.newaxis], steps[::-1, np.newaxis])[rng.integers(4)] / SIDE
    elif name == "speckle":
        share = np.kron(rng.random((SIDE // _GRAIN,) * 2) < 0.25, np.ones((_GRAIN * _SCALE,) * 2))
    else:
        raise ValueError(f"no such texture: {name}")
    shades: npt.NDArray[np.uint8] = np.multiply(share, 255).astype(np.uint8)
    return np.broadcast_to(shades, (_CANVAS, _CANVAS))


@cache
def _tones(first: Color, second: Color) -> bytes:
    """Return the mixtures of two colors by the weight 0..255 of the second, rounded, as a palette."""
    weight = np.arange(256)[:, np.newaxis]
    mixtures = (np.multiply(second, weight) + np.multiply(first, 255 - weight)) / 255
    return mixtures.round().astype(np.uint8).tobytes()


def _draw_thing(draw: ImageDraw.ImageDraw, thing: Thing) -> None:
    color = COLORS[thing.color]
    center, radius = np.array([thing.x, thing.y]) * _SCALE, thing.radius * _SCALE
    box = [*(center - radius), *(center + radius)]
    if thing.shape == "circle":
        draw.ellipse(box, fill=color)
    elif thing.shape == "ring":
        draw.ellipse(box, outline=color, width=round(_RING_WIDTH * radius))
    else:
        draw.polygon([(x, y) for x, y in center + radius * _OUTLINES[thing.shape]], fill=color)


def _star() -> npt.NDArray[np.float64]:
    angles = np.arange(10) * np.pi / 5
    reach = np.where(np.arange(10) % 2, 0.45, 1.05)
    return np.stack([reach * np.sin(angles), 0.1 - reach * np.cos(angles)], axis=1)


def _cross() -> npt.NDArray[np.float64]:
    half_width = 0.34
    arm = np.array([(-half_width, -1), (half_width, -1), (half_width, -half_width)])
    quarter_turn = np.array([(0, 1), (-1, 0)])
    return np.concatenate([arm @ np.linalg.matrix_power(quarter_turn, turns) for turns in range(4)])


def _heart() -> npt.NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    across = np.sin(angles) ** 3
    down = -(13 * np.cos(angles) - 5 * np.cos(2 * angles) - 2 * np.cos(3 * angles) - np.cos(4 * angles)) / 16
    return np.stack([across, down - 0.15], axis=1)


# Corners in the box -1..1, y downwards.
_OUTLINES: dict[str, npt.NDArray[np.float64]] = {
    "square": np.array([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
    "triangle": np.array([(0, -0.95), (1, 0.85), (-1, 0.85)]),
    "star": _star(),
    "cross": _cross(),
    "heart": _heart(),
}
