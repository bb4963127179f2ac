"""Kernel-ridge consensus: all training images vote on a hypothesis, weighted by regression on image features.

The paper's consensus (Section 8) gives the captions of the k nearest training images one vote each. Here the utility
of a hypothesis h for an image x is a kernel ridge regression of "mean similarity of h to the captions of an image" on
the features of that image:

    u(h, x) = sum_j w_j(x) s(h, j),    w(x) = (K + lambda I)^-1 k(x),

where j runs over the training images, s(h, j) is the mean similarity of h to the captions of j, and K and k(x) are
kernel values exp(gamma (cos - 1)) of standardized features. Near images weigh most, as in the paper's consensus, and
images that repeat each other share their weight.
"""

import numpy as np
from numpy.typing import NDArray

from schemas.errors import ConfigurationError

LANDMARKS = 8192  # order of the largest system of equations that is solved
_BLOCK_ROWS = 4096  # training images whose kernel values are held at a time by the Nystroem approximation


def kernel_ridge_weights(
    training: NDArray[np.floating],
    targets: NDArray[np.floating],
    gamma: float,
    regularization: float,
    landmarks: int = LANDMARKS,
) -> NDArray[np.float32]:
    """Return the weight of each training image for each target image.

    Up to `landmarks` training images, N, the solution is exact: one linear system of N equations, 2/3 N^3 operations
    and 8 N^2 bytes. Beyond, the kernel is approximated by Nystroem's method on that many evenly spaced training images;
    time and memory then grow linearly with N.

    Args:
        training: Features of the training images, (N, D).
        targets: Features of the target images, (T, D).
        gamma: Sharpness of the kernel exp(gamma (cos - 1)), above 0.
        regularization: Ridge penalty lambda, above 0.
        landmarks: Order of the largest system of equations to solve.

    Returns:
        float32 (T, N); weights may be negative.

    Raises:
        ConfigurationError: `gamma` or `regularization` is not above 0.
    """
    if not (gamma > 0 and regularization > 0):
        raise ConfigurationError(
            f"gamma ({gamma}) and the regularization ({regularization}) of kernel-ridge consensus must be above 0."
        )
    mean = training.mean(axis=0, dtype=np.float64)
    deviation = training.std(axis=0, dtype=np.float64)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    rows, target_rows = (_unit_rows((side - mean) * scale) for side in (training, targets))
    if len(rows) <= landmarks:
        system = _kernel(rows, rows, gamma).astype(np.float64)
        system[np.diag_indices(len(rows))] += regularization
        weights: NDArray[np.float32] = np.linalg.solve(system, _kernel(rows, target_rows, gamma)).T.astype(np.float32)
        return weights
    # With K ~ C M^+ C', C = kernel(rows, landmarks) and M = kernel(landmarks, landmarks), the weights become
    # w(x) = C (C'C + lambda M)^-1 c(x).
    chosen = rows[np.linspace(0, len(rows) - 1, landmarks).astype(np.int64)]
    blocks = range(0, len(rows), _BLOCK_ROWS)
    gram = np.zeros((landmarks, landmarks))
    for start in blocks:
        block = _kernel(rows[start : start + _BLOCK_ROWS], chosen, gamma).astype(np.float64)
        gram += block.T @ block
    gram[np.diag_indices(landmarks)] += 1e-6 * np.trace(gram) / landmarks  # repeated images make it singular
    gram += regularization * _kernel(chosen, chosen, gamma)
    solved = np.linalg.solve(gram, _kernel(chosen, target_rows, gamma)).astype(np.float32)
    return np.concatenate([_kernel(rows[start : start + _BLOCK_ROWS], chosen, gamma) @ solved for start in blocks]).T


def _unit_rows(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0).astype(np.float32)
    return unit


def _kernel(left: NDArray[np.float32], right: NDArray[np.float32], gamma: float) -> NDArray[np.float32]:
    kernel: NDArray[np.float32] = np.exp(np.float32(gamma) * (left @ right.T - np.float32(1.0)))
    return kernel
