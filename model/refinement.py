"""Refined features: the image as the trained m-RNN sees it (the paper's Section 8.1)."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from model.network import MRNN


def refine_features(network: MRNN, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """I_refined = g2(V_I I), or what `MRNN.refine` says: blocks of features (n, D) -> float32 (n, refined size)."""
    for block in blocks:
        yield network.refine(tf.constant(block)).numpy()
