"""Bootstrap confidence intervals over images, and paired differences of systems (Efron 1979; Koehn 2004).

A score of a set of captions is a function of sums over its images. A bootstrap sample weights the images by how often
each was drawn, so that the sums of a thousand samples are one matrix product.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SAMPLES = 1000
SEED = 0


@dataclass(frozen=True)
class Statistics:
    """Sufficient statistics of a metric.

    Attributes:
        per_image: Statistics of each image, float64 (N, S), to be summed over images.
        combine: Maps such sums (..., S) to scores (...).
    """

    per_image: NDArray[np.float64]
    combine: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def score(self) -> float:
        """Compute the score over all images."""
        return float(self.combine(self.per_image.sum(axis=0)))


@dataclass(frozen=True)
class Difference:
    """Score of one system minus that of another on the same images.

    Attributes:
        value: The difference.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        p: Two-sided p-value: twice the fraction of samples in which the difference has the other sign or is 0.
    """

    value: float
    low: float
    high: float
    p: float


def mean_of(values: NDArray[np.floating]) -> Statistics:
    """Return the statistics of a score that is the mean of the scores (N,) of images."""
    return Statistics(
        np.stack([np.asarray(values, np.float64), np.ones(len(values))], axis=1),
        lambda sums: sums[..., 0] / sums[..., 1],
    )


def interval(statistics: Statistics, samples: int = SAMPLES, seed: int = SEED) -> tuple[float, float]:
    """Compute the 95 % percentile interval of a score.

    Args:
        statistics: Statistics of the metric.
        samples: Number of bootstrap samples.
        seed: Seed of the samples.

    Returns:
        Lower and upper end.
    """
    low, high = np.percentile(_sample_scores(statistics, samples, seed), [2.5, 97.5])
    return float(low), float(high)


def differences(
    ours: Mapping[str, Statistics], theirs: Mapping[str, Statistics], samples: int = SAMPLES, seed: int = SEED
) -> dict[str, Difference]:
    """Compute paired differences of two systems, which are scored on the same bootstrap samples.

    Args:
        ours: Statistics of one system by metric.
        theirs: Statistics of the other system for the same images, by metric.
        samples: Number of bootstrap samples.
        seed: Seed of the samples.

    Returns:
        Ours minus theirs, by metric that both have.
    """
    found = {}
    for metric in (metric for metric in ours if metric in theirs):
        sampled = _sample_scores(ours[metric], samples, seed) - _sample_scores(theirs[metric], samples, seed)
        value = ours[metric].score() - theirs[metric].score()
        low, high = np.percentile(sampled, [2.5, 97.5])
        other_sign = np.mean(sampled <= 0) if value > 0 else np.mean(sampled >= 0)
        found[metric] = Difference(value, float(low), float(high), min(1.0, 2 * float(other_sign)))
    return found


def _sample_scores(statistics: Statistics, samples: int, seed: int) -> NDArray[np.float64]:
    """Compute the scores of bootstrap samples, float64 (samples,)."""
    return statistics.combine(_sample_weights(len(statistics.per_image), samples, seed) @ statistics.per_image)


@lru_cache(maxsize=1)  # 40 MB for 5,000 images
def _sample_weights(images: int, samples: int, seed: int) -> NDArray[np.float64]:
    """Count how often each image was drawn in each sample, float64 (samples, images)."""
    random = np.random.default_rng(seed)
    weights = np.empty((samples, images))
    for row in weights:
        row[:] = np.bincount(random.integers(0, images, images), minlength=images)
    return weights
