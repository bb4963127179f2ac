"""Likelihood of all pairs: shared prefixes and one recurrent pass, against the whole network for each pair.

1,000 images x 5,000 sentences are what is asked about. Beside the one recurrent pass, both sides do the same again for
each image, or each pair: ours is timed on some images against all sentences, the other on some pairs.
"""

import numpy as np
import tensorflow as tf

from benchmarks.machine import gemm_rate
from benchmarks.timing import compare, seconds
from model.metrics.pair_likelihoods import log_likelihoods
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from schemas.vocabulary import BOS

VOCABULARY, SENTENCES, IMAGES, MULTIMODAL = 2550, 5000, 1000, 512
TIMED_IMAGES, TIMED_PAIRS, BATCH = 10, 100, 500


def run() -> None:
    """Compares pairs a second at the paper's sizes, on sentences with a skewed choice of words."""
    random = np.random.default_rng(0)
    weights = 1.0 / np.arange(1, VOCABULARY - 2)
    network = MRNN(VOCABULARY, 1280, ModelConfig(multimodal_size=MULTIMODAL))
    sentences = [
        random.choice(np.arange(3, VOCABULARY), length, p=weights / weights.sum()).astype(np.int32)
        for length in random.integers(6, 16, SENTENCES)
    ]
    features = random.standard_normal((TIMED_IMAGES, 1280)).astype(np.float32)
    pairs = list(zip(random.integers(0, TIMED_IMAGES, TIMED_PAIRS), sentences, strict=False))
    padded = tf.ragged.constant([[BOS, *map(int, words)] for words in sentences[:BATCH]]).to_tensor()

    def of_pair(image: int, words: np.ndarray) -> float:
        logits = network(np.array([[BOS, *words]], np.int32), features[image : image + 1])
        log_probs = tf.nn.log_softmax(logits[0]).numpy()
        return float(log_probs[np.arange(len(words) + 1), [*words, BOS]].sum())

    @tf.function
    def of_batch(image: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_softmax(network(padded, tf.repeat(image[None], BATCH, axis=0)))

    of_batch(tf.constant(features[0]))
    first = seconds(lambda: log_likelihoods(network, sentences, features[:1]))
    found: list[np.ndarray] = []
    more = seconds(lambda: found.append(log_likelihoods(network, sentences, features))) - first
    ours = first + (IMAGES - 1) * more / (TIMED_IMAGES - 1)
    plain: list[float] = []
    by_pair = seconds(lambda: plain.extend(of_pair(*pair) for pair in pairs)) / TIMED_PAIRS
    by_batch = seconds(lambda: of_batch(tf.constant(features[1]))) / BATCH
    table = [found[0][row, image] for row, (image, _) in enumerate(pairs)]
    np.testing.assert_allclose(table, plain, atol=1e-3)
    count = SENTENCES * IMAGES
    for name, each in (("each pair", by_pair), ("batches, padded", by_batch)):
        compare(f"retrieval, {IMAGES} x {SENTENCES}", count / ours, 1.0 / each, "pairs/s", "shared prefixes", name)
    prefixes = len({tuple(words[:end]) for words in sentences for end in range(len(words) + 1)})
    rate = 2.0 * prefixes * MULTIMODAL * VOCABULARY * IMAGES / ours
    print(
        f"retrieval: {prefixes} prefixes, {rate / 1e9:.0f} GFLOP/s, {rate / gemm_rate():.0%} of a matrix product's",
        flush=True,
    )
