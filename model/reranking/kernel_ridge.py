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

_BLOCK_ROWS = 4096  # training images whose kernel values are held at a time by the Nystroem approximation


class KernelRidge:
    """Weights of training images for consensus, by kernel ridge regression on their features.

    Up to `landmarks` training images the solution is exact: one linear system of that size. Beyond, the kernel is
    approximated by Nystroem's method on that many evenly spaced training images; time grows linearly with the number
    of images.

    Args:
        features: Features of the training images, float32 (N, D).
        gamma: Sharpness of the kernel exp(gamma (cos - 1)), above 0.
        regularization: Ridge penalty lambda, above 0.
        landmarks: Largest system of equations to solve.

    Raises:
        ConfigurationError: `gamma` or `regularization` is not above 0.
    """

    def __init__(
        self, features: NDArray[np.float32], gamma: float = 1.0, regularization: float = 1.0, landmarks: int = 10_000
    ) -> None:
        if not (gamma > 0 and regularization > 0):
            raise ConfigurationError(
                f"gamma ({gamma}) and the regularization ({regularization}) of kernel-ridge consensus must be above 0."
            )
        self._gamma = gamma
        self._mean = features.mean(axis=0, dtype=np.float64)
        deviation = features.std(axis=0, dtype=np.float64)
        self._scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        rows = self._unit_rows(features)
        self._landmarks = rows
        if len(rows) > landmarks:
            self._landmarks = rows[np.linspace(0, len(rows) - 1, landmarks).astype(np.int64)]
        kernel = self._kernel(self._landmarks, self._landmarks).astype(np.float64)
        identity = np.eye(len(kernel))
        if self._landmarks is rows:
            self._weights_of_kernel = np.linalg.inv(kernel + regularization * identity).astype(np.float32)
            return
        # With K ~ C M^+ C', C = kernel(rows, landmarks) and M = kernel(landmarks, landmarks), the weights become
        # w(x) = C (C'C + lambda M)^-1 c(x).
        gram = np.zeros_like(kernel)
        blocks = [self._kernel(rows[at : at + _BLOCK_ROWS], self._landmarks) for at in range(0, len(rows), _BLOCK_ROWS)]
        for block in blocks:
            gram += block.T.astype(np.float64) @ block
        jitter = 1e-6 * float(np.trace(gram)) / len(gram)
        solved = np.linalg.inv(gram + regularization * kernel + jitter * identity).astype(np.float32)
        self._weights_of_kernel = np.concatenate([block @ solved for block in blocks])

    def weights(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the weight of each training image for each of some images.

        Args:
            features: Features of the images, float32 (T, D).

        Returns:
            float32 (T, N); weights may be negative.
        """
        kernel = self._kernel(self._unit_rows(features), self._landmarks)
        weights: NDArray[np.float32] = kernel @ self._weights_of_kernel.T
        return weights

    def _unit_rows(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = ((features - self._mean) * self._scale).astype(np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)

    def _kernel(self, left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
        kernel: NDArray[np.float32] = np.exp(np.float32(self._gamma) * (left @ right.T - np.float32(1.0)))
        return kernel


def utilities(
    similarity: NDArray[np.float64], starts: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the utility of each hypothesis of an image.

    Args:
        similarity: Similarity of each hypothesis to each training caption, the captions in the order of their images:
            float64 (H, R).
        starts: Position of each training image's first caption, rising: int64 (N,). Each has at least one.
        weights: Weight of each training image, as of `KernelRidge.weights`: float32 (N,).

    Returns:
        float64 (H,).
    """
    counts = np.diff(starts, append=similarity.shape[1])
    means = np.add.reduceat(similarity, starts, axis=1) / counts
    result: NDArray[np.float64] = means @ weights.astype(np.float64)
    return result
