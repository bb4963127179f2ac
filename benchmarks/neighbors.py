"""Nearest neighbors, 1,000 targets x 122,286 references x 1024, against mRNN-CR's row by row with a full sort."""

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks.machine import describe_run
from benchmarks.timing import compare_rounds, print_head
from model.reranking.neighbors import nearest

TARGETS, REFERENCES, DIMENSION, COUNT = 1000, 122_286, 1024, 1000
PLAIN_TARGETS = 10


def run() -> None:
    """Compare targets a second; the neighbors must be the same."""
    random = np.random.default_rng(0)
    references = np.maximum(0, random.standard_normal((REFERENCES, DIMENSION), np.float32))
    targets = np.maximum(0, random.standard_normal((TARGETS, DIMENSION), np.float32))
    found: list[np.ndarray] = []
    plain: list[np.ndarray] = []

    def row_by_row() -> None:
        for target in targets[:PLAIN_TARGETS]:
            plain.append(np.argsort(cdist(target[None], references, "euclidean")[0], kind="stable")[:COUNT])

    def together() -> None:
        found.append(nearest(targets, references, COUNT, "euclidean")[0])

    print(describe_run("python -m benchmarks neighbors"))
    print_head("neighbors", "FAISS", "row by row", "ratio")
    compare_rounds(f"the {COUNT} nearest, targets/s", (together, TARGETS), (row_by_row, PLAIN_TARGETS))
    np.testing.assert_array_equal(found[0][:PLAIN_TARGETS], plain[:PLAIN_TARGETS])
