"""How much a score depends on which images happen to be in the split: bootstrap intervals (Efron 1979; Koehn 2004).

A score of a corpus is a function of sums over its images. Drawing images with replacement weighs them; the sums of a
thousand draws are one matrix product.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

DRAWS = 1000
SEED = 0


@dataclass(frozen=True)
class Statistics:
    """per_image: float64 (N, S), summed over images; combine: such sums (..., S) -> scores (...)."""

    per_image: np.ndarray
    combine: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Difference:
    """Score of one system less that of another on the same images, and its 95 % interval.

    p: share of draws, doubled, in which the difference has the other sign or none; two-sided, at most 1.
    """

    value: float
    low: float
    high: float
    p: float


def mean_of(values: np.ndarray) -> Statistics:
    """The statistics of a score that is the mean of (N,) scores of images."""
    return Statistics(
        np.stack([np.asarray(values, np.float64), np.ones(len(values))], axis=1),
        lambda sums: sums[..., 0] / sums[..., 1],
    )


def interval(statistics: Statistics, draws: int = DRAWS, seed: int = SEED) -> tuple[float, float]:
    """The 95 % percentile interval of a score."""
    low, high = np.percentile(_drawn(statistics, draws, seed), [2.5, 97.5])
    return float(low), float(high)


def differences(
    ours: Mapping[str, Statistics], theirs: Mapping[str, Statistics], draws: int = DRAWS, seed: int = SEED
) -> dict[str, Difference]:
    """Ours less theirs of each score that both have, paired: the same images are drawn for both."""
    found = {}
    for metric in ours.keys() & theirs.keys():
        drawn = _drawn(ours[metric], draws, seed) - _drawn(theirs[metric], draws, seed)
        value = float(_whole(ours[metric]) - _whole(theirs[metric]))
        low, high = np.percentile(drawn, [2.5, 97.5])
        other_sign = np.mean(drawn <= 0) if value > 0 else np.mean(drawn >= 0)
        found[metric] = Difference(value, float(low), float(high), float(min(1.0, 2 * other_sign)))
    return {metric: found[metric] for metric in ours if metric in found}


def _whole(statistics: Statistics) -> np.ndarray:
    return statistics.combine(statistics.per_image.sum(axis=0))


def _drawn(statistics: Statistics, draws: int, seed: int) -> np.ndarray:
    """(draws,) scores of corpora drawn with replacement."""
    images = len(statistics.per_image)
    random = np.random.default_rng(seed)
    times = random.multinomial(images, np.full(images, 1 / images), size=draws)  # how often each image was drawn
    return statistics.combine(times @ statistics.per_image)
