"""Near-duplicate images across splits, by perceptual hash: a model should not be tested on what it was trained on."""

from collections.abc import Sequence

import imagehash
import numpy as np
from PIL import Image

HASH_SIDE = 8  # bits of a hash: 64
MAX_DISTANCE = 4  # bits in which near-duplicates may differ
BLOCK_ROWS = 1024


def image_hash(image: Image.Image) -> np.ndarray:
    """The perceptual hash (imagehash's phash) of an image: bool (64,)."""
    return np.asarray(imagehash.phash(image, HASH_SIDE).hash).ravel()


def near_duplicates(hashes: np.ndarray, splits: Sequence[str]) -> list[tuple[int, int, int]]:
    """Pairs (row, other row, bits in which they differ) of images that are in different splits, most alike first.

    hashes: bool (N, 64); splits: N names.
    """
    # As signs, the product of two hashes is the number of equal bits less that of others: all pairs by matrix products.
    signs = np.where(hashes, np.float32(1), np.float32(-1))
    of_split = {split: np.flatnonzero(np.array(splits) == split) for split in dict.fromkeys(splits)}
    names = list(of_split)
    pairs = []
    for number, split in enumerate(names):
        for other in names[number + 1 :]:
            columns = of_split[other]
            for start in range(0, len(of_split[split]), BLOCK_ROWS):
                rows = of_split[split][start : start + BLOCK_ROWS]
                distances = (signs.shape[1] - signs[rows] @ signs[columns].T) / 2
                for row, column in np.argwhere(distances <= MAX_DISTANCE):
                    pair = sorted((int(rows[row]), int(columns[column])))
                    pairs.append((pair[0], pair[1], int(distances[row, column])))
    return sorted(pairs, key=lambda pair: (pair[2], pair))
