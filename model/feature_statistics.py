"""Mean and deviation of image features that need not fit into memory."""

import numpy as np

from schemas.feature_rows import FeatureRows


def mean_and_deviation(features: np.ndarray | FeatureRows, rows: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Of each column of the features (N, D), computed block by block in double precision: float64 (D,) each."""
    mean, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    done = 0
    for start in range(0, len(features), rows):
        block = features[start : start + rows].astype(np.float64)
        block_mean = block.mean(axis=0)
        # Chan et al.: the squared deviations from the mean of both parts.
        share = len(block) / (done + len(block))
        deviations = block - block_mean
        squares += np.einsum("nd,nd->d", deviations, deviations) + np.square(block_mean - mean) * done * share
        mean += (block_mean - mean) * share
        done += len(block)
    return mean, np.sqrt(squares / max(1, done))
