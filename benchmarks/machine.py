"""Rate of matrix products of this machine, the upper bound for networks."""

import tensorflow as tf

from benchmarks.timing import seconds


def gemm_rate(size: int = 4096, repeats: int = 5) -> float:
    """FLOP/s of one large float32 matrix product by TensorFlow, on all cores: the best of some runs."""
    left, right = tf.random.normal((size, size)), tf.random.normal((size, size))
    multiply = tf.function(tf.matmul)
    multiply(left, right)
    return float(2 * size**3 / seconds(lambda: multiply(left, right).numpy(), repeats))
