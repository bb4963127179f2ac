"""Likelihoods of pairs of captions and images: shared prefixes against the whole network, and bounds against both."""

import numpy as np
import tensorflow as tf

from benchmarks.machine import describe_run, square_product
from benchmarks.timing import Rounds, per_unit, print_head, print_row
from model.metrics.pair_likelihoods import likelihood_bounds, log_likelihoods
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from schemas.vocabulary import BOS

VOCABULARY, MULTIMODAL = 2550, 512
SENTENCES, SAMPLED, IMAGES = 100, 100, 1000
TIMED_IMAGES, TIMED_PAIRS = 20, 20  # of what takes long
SIDE = 2048  # of the square product


def run() -> None:
    """Compare pairs a second at the paper's sizes, on some sentences with a skewed choice of words, in rounds."""
    random = np.random.default_rng(0)
    weights = 1.0 / np.arange(1, VOCABULARY - 2)
    network = MRNN(VOCABULARY, 1280, ModelConfig(multimodal_size=MULTIMODAL))
    sentences = [
        random.choice(np.arange(3, VOCABULARY), length, p=weights / weights.sum()).astype(np.int32)
        for length in random.integers(6, 16, SENTENCES)
    ]
    features = random.standard_normal((SAMPLED + IMAGES, 1280)).astype(np.float32)
    few = features[:TIMED_IMAGES]
    pairs = list(zip(random.integers(0, TIMED_IMAGES, TIMED_PAIRS), sentences, strict=False))
    padded = tf.ragged.constant([[BOS, *map(int, words)] for words in sentences]).to_tensor()
    prefixes = len({tuple(words[:end]) for words in sentences for end in range(len(words) + 1)})
    multiply = square_product(SIDE)

    def of_pair(image: int, words: np.ndarray) -> float:
        logits = network(np.array([[BOS, *words]], np.int32), features[image : image + 1])
        log_probs = tf.nn.log_softmax(logits[0]).numpy()
        return float(log_probs[np.arange(len(words) + 1), [*words, BOS]].sum())

    @tf.function
    def of_batch(image: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_softmax(network(padded, tf.repeat(image[None], SENTENCES, axis=0)))

    table = log_likelihoods(network, sentences, few)
    by_pair = [of_pair(*pair) for pair in pairs]
    np.testing.assert_allclose([table[row, image] for row, (image, _) in enumerate(pairs)], by_pair, atol=1e-3)
    of_batch(tf.constant(few[0]))
    products = prefixes * MULTIMODAL * VOCABULARY * TIMED_IMAGES
    count = SENTENCES * (SAMPLED + IMAGES)
    rounds = Rounds(
        {
            "bounds": per_unit(lambda: likelihood_bounds(network, sentences, *np.split(features, [SAMPLED])), count),
            "shared": per_unit(lambda: log_likelihoods(network, sentences, few), SENTENCES * TIMED_IMAGES),
            "pair": per_unit(lambda: [of_pair(*pair) for pair in pairs], TIMED_PAIRS),
            "batch": per_unit(lambda: of_batch(tf.constant(few[1])).numpy(), SENTENCES),
            "product": per_unit(multiply, SENTENCES * TIMED_IMAGES * SIDE**3 / products),
        }
    )
    print(describe_run("python -m benchmarks retrieval"))
    print_head("pairs/s", "comparison, pairs/s", "ratio")
    for ours, other, what in (
        ("shared", "pair", "each pair through the network"),
        ("shared", "batch", "whole network in batches, padded"),
        ("shared", "product", "square product"),
        ("bounds", "shared", "shared prefixes, all pairs"),
    ):
        name = {"shared": "shared prefixes", "bounds": "bounds (100 images exact)"}[ours]
        print_row(f"{name}: {rounds.rate(ours):,.0f}", f"{what}: {rounds.rate(other):,.0f}", rounds.ratio(ours, other))
