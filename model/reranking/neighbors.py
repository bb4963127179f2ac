"""Exact nearest neighbors between two sets of feature vectors, in blocks of bounded memory."""

from collections.abc import Callable

import numpy as np

from schemas.errors import ConfigurationError

METRICS = ("euclidean", "cosine")
TARGETS, REFERENCES = 256, 4096  # of a block


def nearest(
    targets: np.ndarray,
    references: np.ndarray,
    count: int,
    metric: str,
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest references of each target, nearest first, equal distances by position.

    targets (N, D), references (M, D), floats of any size -> indices int32 (N, K) into the references and distances
    float32 (N, K), with K = min(count, M). metric: `euclidean` as in the paper's Section 8, or `cosine` (1 - cosine of
    the angle). Beside its arguments it needs 4 bytes for each of 256 M distances.

    Raises:
        ConfigurationError: another metric.
    """
    if metric not in METRICS:
        raise ConfigurationError(f"There is no metric {metric!r}; set it to {' or '.join(METRICS)}.")
    count = min(count, len(references))
    indices = np.empty((len(targets), count), np.int32)
    distances = np.empty((len(targets), count), np.float32)
    parts = (references[start : start + REFERENCES] for start in _starts(references, REFERENCES))
    squares = np.concatenate([_squares(_prepare(part, metric)) for part in parts])
    for start in _starts(targets, TARGETS):
        block = _prepare(targets[start : start + TARGETS], metric)
        rounded = _rounded_squares(block, references, squares, metric)
        # The error of a dot product in float32 is below D 2^-24 |a| |b|, and 2 |a| |b| is at most a^2 + b^2; as much
        # again for the rounding of the vectors themselves.
        slack = block.shape[1] * 2.0**-23 * (_squares(block) + squares.max())
        reach = np.partition(rounded, count - 1, axis=1)[:, count - 1] + 2.0 * slack
        for row, target in enumerate(block):
            # Those that may be nearest are measured again, exactly.
            near = np.flatnonzero(rounded[row] <= reach[row])
            squared = _squares(_prepare(references[near], metric) - target)
            order = np.argsort(squared, kind="stable")[:count]
            indices[start + row] = near[order]
            # Of unit vectors, half the squared distance is 1 - cosine.
            distances[start + row] = np.sqrt(squared[order]) if metric == "euclidean" else squared[order] / 2.0
        progress((start + len(block)) / len(targets))
    return indices, distances


def _rounded_squares(block: np.ndarray, references: np.ndarray, squares: np.ndarray, metric: str) -> np.ndarray:
    """Squared distances in float32 (n, M), by a matrix product a block of references."""
    own, single = _squares(block)[:, None], block.astype(np.float32)
    rounded = np.empty((len(block), len(references)), np.float32)
    for start in _starts(references, REFERENCES):
        part = slice(start, start + REFERENCES)
        other = references[part] if metric == "euclidean" else _prepare(references[part], metric)
        rounded[:, part] = own + squares[part] - 2.0 * (single @ other.astype(np.float32).T)
    return rounded


def _starts(vectors: np.ndarray, size: int) -> range:
    return range(0, len(vectors), size)


def _squares(vectors: np.ndarray) -> np.ndarray:
    squares: np.ndarray = np.einsum("nd,nd->n", vectors, vectors)
    return squares


def _prepare(vectors: np.ndarray, metric: str) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    if metric == "cosine":
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors
