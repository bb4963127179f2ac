"""Nearest neighbors by an inverted file of FAISS (an extra): faster among very many references, and not exact."""

from collections.abc import Callable

import numpy as np

from model.reranking.neighbors import METRICS, nearest
from schemas.errors import ConfigurationError

SAMPLE = 200  # targets whose exact neighbors say how good the others are
POINTS_A_LIST = 39  # at least, for FAISS to place the lists well


def nearest_by_index(
    targets: np.ndarray,
    references: np.ndarray,
    count: int,
    metric: str,
    probes: int,
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """As `model.reranking.neighbors.nearest`, but only for references in the `probes` lists nearest to a target.

    These are measured again, exactly: distances, their order and ties are those of `nearest`. A target whose lists hold
    fewer than `count` references is compared with all. The third value is the recall, measured on a sample of targets:
    which share of their exact neighbors were found.

    Raises:
        ConfigurationError: FAISS is not installed, another metric, or no probes.
    """
    try:
        import faiss
    except ImportError as error:
        raise ConfigurationError(
            f"An approximate index needs FAISS, which is not there ({error}): pip install 'm-rnn[faiss]', or set index "
            "to exact."
        ) from error
    if metric not in METRICS or probes < 1:
        raise ConfigurationError(f"Neighbors by {metric}, {probes} probes: probes must be 1 or more.")
    count = min(count, len(references))
    lists = int(max(1, min(4 * len(references) ** 0.5, len(references) / POINTS_A_LIST)))
    table, queries = (np.ascontiguousarray(side, np.float32) for side in (references, targets))
    if metric == "cosine":  # of unit vectors, both distances have the same order
        table, queries = table.copy(), queries.copy()
        faiss.normalize_L2(table)
        faiss.normalize_L2(queries)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(table.shape[1]), table.shape[1], lists)
    index.train(table)
    index.add(table)
    index.nprobe = min(probes, lists)
    indices = np.empty((len(targets), count), np.int32)
    distances = np.empty((len(targets), count), np.float32)
    for row in range(len(targets)):
        found = np.sort(index.search(queries[row : row + 1], count)[1][0])
        near = found if found[0] >= 0 else np.arange(len(references))  # -1 stands for what was not found
        order, distances[row : row + 1] = nearest(targets[row : row + 1], references[near], count, metric)
        indices[row] = near[order[0]]
        progress((row + 1) / len(targets))
    return indices, distances, _recall(indices, targets, references, metric)


def _recall(indices: np.ndarray, targets: np.ndarray, references: np.ndarray, metric: str) -> float:
    sample = np.unique(np.linspace(0, len(targets) - 1, min(SAMPLE, len(targets))).astype(int))
    exact, _ = nearest(targets[sample], references, indices.shape[1], metric)
    shares = [np.isin(row, indices[target]).mean() for row, target in zip(exact, sample, strict=True)]
    return float(np.mean(shares))
