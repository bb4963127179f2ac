"""Augmentation of photographs: views of an image with the same captions."""

import math
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageEnhance

SIDES = frozenset({"left", "right"})  # words that a mirror image makes wrong
_LEAST_AREA = 0.5  # of a view, as a share of the image
_COLOR = 0.2  # largest relative change of brightness, contrast and saturation


def can_be_mirrored(captions: Iterable[Iterable[str]]) -> bool:
    """Return whether no caption, a sequence of lower-case words, names a side."""
    return SIDES.isdisjoint(word for caption in captions for word in caption)


def augment(image: Image.Image, random: np.random.Generator, mirror: bool) -> Image.Image:
    """Return a random view of an image: a part of it in other colors.

    Args:
        image: RGB image.
        random: Source of the view.
        mirror: Whether every other view is mirrored.

    Returns:
        RGB image with at least half of the area, at a random place, and with the image's proportions.
    """
    share = math.sqrt(random.uniform(_LEAST_AREA, 1.0))
    left, top = (random.uniform(0.0, side * (1.0 - share)) for side in image.size)
    width, height = (side * share for side in image.size)
    view = image.resize(image.size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    if mirror and random.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        view = enhance(view).enhance(random.uniform(1.0 - _COLOR, 1.0 + _COLOR))
    return view
