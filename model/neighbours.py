"""Exact nearest neighbours between two sets of feature vectors, in blocks of bounded memory."""

from collections.abc import Callable

import numpy as np

from schemas.errors import ConfigurationError

METRICS = ("euclidean", "cosine")
BLOCK = 256  # targets at a time


def nearest(
    targets: np.ndarray,
    references: np.ndarray,
    count: int,
    metric: str,
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest references of each target, nearest first, equal distances by position.

    targets (N, D), references (M, D) -> indices int32 (N, K) into the references and distances float32 (N, K), with
    K = min(count, M). metric: `euclidean` as in the paper's Section 8, or `cosine` (1 - cosine of the angle).

    Raises:
        ConfigurationError: another metric.
    """
    if metric not in METRICS:
        raise ConfigurationError(f"There is no metric {metric!r}; set it to {' or '.join(METRICS)}.")
    references = _prepare(references, metric)
    squares = np.einsum("md,md->m", references, references)
    count = min(count, len(references))
    indices = np.empty((len(targets), count), np.int32)
    distances = np.empty((len(targets), count), np.float32)
    for start in range(0, len(targets), BLOCK):
        block = _prepare(targets[start : start + BLOCK], metric)
        squared = np.einsum("nd,nd->n", block, block)[:, None] + squares - 2.0 * (block @ references.T)
        order = np.argsort(squared, axis=1, kind="stable")[:, :count]
        chosen = np.maximum(np.take_along_axis(squared, order, axis=1), 0.0)
        stop = start + len(block)
        indices[start:stop] = order
        # Of unit vectors, half the squared distance is 1 - cosine.
        distances[start:stop] = np.sqrt(chosen) if metric == "euclidean" else chosen / 2.0
        progress(stop / len(targets))
    return indices, distances


def _prepare(vectors: np.ndarray, metric: str) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    if metric == "cosine":
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors
