"""BLEU-1 to BLEU-4 (Papineni et al. 2002) as coco-caption computes them, with the closest reference length."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from model.metrics.bootstrap import Statistics
from model.metrics.tokenized import TokenizedCaptions
from model.text.ngrams import ORDERS

NAMES = tuple(f"BLEU-{order}" for order in range(1, ORDERS + 1))
VERSION, NEEDS_JAVA = "coco-caption", False
_TINY, _SMALL = 1e-15, 1e-9  # coco-caption's smoothing of numerators and denominators


def score(captions: TokenizedCaptions) -> dict[str, Statistics]:
    """Return the statistics of BLEU, which pool over images: clipped matches, n-grams, and lengths."""
    table, images, matches = captions.table, len(captions.captions), captions.matches
    in_references = np.zeros(len(matches.entry_image))
    np.maximum.at(in_references, matches.entry, matches.in_reference)
    clipped = np.minimum(table.entry_counts[: len(in_references)], in_references)
    order = table.orders[table.entry_columns[: len(in_references)]]
    places = matches.entry_image * ORDERS + order - 1
    correct = np.bincount(places, clipped, minlength=images * ORDERS).reshape(images, ORDERS)

    lengths, of_references = table.lengths[:images], table.lengths[images:]
    guessed = np.maximum(0, lengths[:, None] - np.arange(ORDERS))
    distance = np.abs(of_references - lengths[captions.owners])
    # Of each image the closest reference, of equally close ones the shortest.
    by_closeness = np.lexsort((of_references, distance, captions.owners))
    first = np.searchsorted(captions.owners, np.arange(images))
    closest = of_references[by_closeness][first]
    rows = np.column_stack([correct, guessed, lengths, closest]).astype(np.float64)
    return {name: Statistics(rows, partial(_combine, order=order)) for order, name in enumerate(NAMES, start=1)}


def _combine(sums: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    correct, guessed = sums[..., :order] + _TINY, sums[..., ORDERS : ORDERS + order] + _SMALL
    ratio = (sums[..., -2] + _TINY) / (sums[..., -1] + _SMALL)
    bleu: NDArray[np.float64] = np.exp(np.log(correct / guessed).mean(axis=-1) + np.minimum(0.0, 1.0 - 1.0 / ratio))
    return bleu
