"""Exact nearest neighbors between two sets of feature vectors.

FAISS finds candidates in float32; their distances are then computed in float64, so that order, ties and bytes do not
depend on how a matrix product is rounded.
"""

from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray

from model.reranking.config import METRICS
from schemas.errors import ConfigurationError

TARGETS = 1024  # targets per search
MARGIN = 128  # candidates beyond the requested number of neighbors


def nearest(
    targets: NDArray[np.floating],
    references: NDArray[np.floating],
    count: int,
    metric: str,
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the nearest references of each target, nearest first, equal distances by position.

    In addition to its arguments, memory holds the references once in float32.

    Args:
        targets: Vectors (N, D) of any floating-point type.
        references: Vectors (M, D) of any floating-point type.
        count: Number of neighbors.
        metric: `euclidean`, as in the paper's Section 8, or `cosine` (1 - cosine of the angle).
        progress: Receives the finished fraction.

    Returns:
        Indices int32 (N, K) into the references and distances float32 (N, K), with K = min(count, M).

    Raises:
        ConfigurationError: There is no such metric.
    """
    if metric not in METRICS:
        raise ConfigurationError(f"There is no metric {metric!r}; set it to {' or '.join(METRICS)}.")
    count = min(count, len(references))
    table, largest = _prepare_table(references, metric)
    indices = np.empty((len(targets), count), np.int32)
    distances = np.empty((len(targets), count), np.float32)
    for start in range(0, len(targets), TARGETS):
        block = _prepare(targets[start : start + TARGETS], metric)
        # A float32 dot product has an error below D 2^-24 |a| |b|, and 2 |a| |b| is at most a^2 + b^2. Doubling it
        # covers both norms, and eight more units cover the other roundings.
        error = (block.shape[1] + 8) * 2.0**-23 * (_squares(block) + largest)
        pending, depth = np.arange(len(block)), min(count + MARGIN, len(references))
        while len(pending):
            rounded, candidates = faiss.knn(block[pending].astype(np.float32), table, depth)
            unresolved = []
            for row, near, farthest in zip(pending, np.sort(candidates, axis=1), rounded[:, -1], strict=True):
                squared = _squared_distances(block[row], references[near], metric)
                order = np.argsort(squared, kind="stable")[:count]
                if depth < len(references) and squared[order[-1]] >= farthest - error[row]:
                    unresolved.append(row)  # a reference outside the candidates may be as near
                    continue
                indices[start + row] = near[order]
                # Half the squared distance of unit vectors is 1 - cosine.
                distances[start + row] = np.sqrt(squared[order]) if metric == "euclidean" else squared[order] / 2.0
            pending, depth = np.array(unresolved, np.int64), min(2 * depth, len(references))
        progress((start + len(block)) / len(targets))
    return indices, distances


def _prepare_table(references: NDArray[np.floating], metric: str) -> tuple[NDArray[np.float32], float]:
    """Return the references as FAISS requires them, float32 (M, D), and their largest squared norm."""
    if metric == "cosine":
        unit = np.empty(references.shape, np.float32)
        for start in range(0, len(references), TARGETS):
            unit[start : start + TARGETS] = _prepare(references[start : start + TARGETS], metric)
        return unit, 1.0
    parts = (references[start : start + TARGETS] for start in range(0, len(references), TARGETS))
    largest = max((float(_squares(part.astype(np.float64)).max()) for part in parts), default=0.0)
    return np.ascontiguousarray(references, np.float32), largest


def _squared_distances(
    target: NDArray[np.float64], references: NDArray[np.floating], metric: str
) -> NDArray[np.float64]:
    """Compute the squared Euclidean distances float64 (n,) of a prepared target (D,) to references (n, D)."""
    others = _prepare(references, metric) if metric == "cosine" else references
    return _squares(np.subtract(others, target, dtype=np.float64))


def _squares(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.einsum("nd,nd->n", vectors, vectors)
    return squares


def _prepare(vectors: NDArray[np.floating], metric: str) -> NDArray[np.float64]:
    """Convert vectors to float64, with unit length if the metric is the cosine."""
    prepared = vectors.astype(np.float64)
    if metric == "cosine":
        prepared /= np.maximum(np.linalg.norm(prepared, axis=1, keepdims=True), 1e-12)
    return prepared
