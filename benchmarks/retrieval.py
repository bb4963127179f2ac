"""Likelihood of all pairs: shared prefixes and one recurrent pass against the whole network for each pair."""

import numpy as np
import tensorflow as tf

from benchmarks.timing import compare, seconds
from model.network import MRNN
from model.retrieval import log_likelihoods

VOCABULARY, SENTENCES, IMAGES = 2500, 500, 20


def run() -> None:
    """Compares pairs a second at the paper's sizes, on sentences with a skewed choice of words."""
    random = np.random.default_rng(0)
    weights = 1.0 / np.arange(1, VOCABULARY - 2)
    network = MRNN(VOCABULARY, 1280)
    sentences = [
        random.choice(np.arange(3, VOCABULARY), length, p=weights / weights.sum())
        for length in random.integers(6, 16, SENTENCES)
    ]
    features = random.standard_normal((IMAGES, 1280)).astype(np.float32)
    tokens = tf.ragged.constant([[2, *map(int, words)] for words in sentences]).to_tensor()

    @tf.function
    def whole_network(image: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_softmax(network(tokens, tf.repeat(image[None], SENTENCES, axis=0)))

    whole_network(tf.constant(features[0]))
    log_likelihoods(network, sentences, features[:1])
    ours = seconds(lambda: log_likelihoods(network, sentences, features))
    plain = seconds(lambda: [whole_network(tf.constant(image)) for image in features])
    pairs = SENTENCES * IMAGES
    compare("retrieval", pairs / ours, pairs / plain, "pairs/s", "shared prefixes", "whole network")
