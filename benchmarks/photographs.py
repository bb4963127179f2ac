"""Photographs that can be made anywhere: smooth colors with some grain, as JPEG files of the usual size."""

from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.engines.shards import ImageSource


def make_photographs(directory: Path, count: int, size: tuple[int, int] = (500, 375)) -> list[ImageSource]:
    """Write `count` JPEG files of some 60 kB into `directory`."""
    random = np.random.default_rng(0)
    sources = []
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
        grain = random.normal(0, 6, (size[1], size[0], 3))
        pixels = np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)
        path = directory / f"{number:06d}.jpg"
        Image.fromarray(pixels).save(path, quality=90)
        sources.append(ImageSource(path.stem, str(path)))
    return sources
