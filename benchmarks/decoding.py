"""Beam search of width 10 over 1,000 images, against TF-mRNN's: image by image, candidate by candidate."""

import numpy as np
import tensorflow as tf

from benchmarks.machine import gemm_rate
from benchmarks.timing import compare, seconds
from benchmarks.training import multiplications_a_word
from model.decoding.beam_search import BeamSearch
from model.decoding.constraints import Constraints
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from schemas.vocabulary import BOS

IMAGES, BATCH, WIDTH, MAX_LENGTH = 1000, 50, 10, 30
SHORTEST = 9  # words; those that TF-mRNN released have 9.4, an untrained network would end at once
VOCABULARY = 13_691
FEATURES = {"tf-mrnn": 2048, "mrnn": 4096}


def run() -> None:
    """After each batch of ours comes one image of theirs and a matrix product, so that a slow spell meets all alike."""
    for variant, size in FEATURES.items():
        random = np.random.default_rng(0)
        network = MRNN(VOCABULARY, size, ModelConfig(variant))
        bias = random.normal(0.0, 2.0, VOCABULARY)  # some words are frequent, as in a trained network
        bias[BOS] = 10.0
        network.softmax.bias.assign(bias)
        images = random.standard_normal((IMAGES, size)).astype(np.float32)
        search = BeamSearch(network, WIDTH, MAX_LENGTH, Constraints(SHORTEST, forbidden=()))
        plain = PerCandidate(network)
        search(images[:BATCH])
        plain(images[0])

        ours = theirs = products = 0.0
        same, rates = 0, []
        for start in range(0, IMAGES, BATCH):
            found: list = []
            ours += seconds(lambda: found.extend(search(images[start : start + BATCH])))  # noqa: B023  (at once)
            theirs += seconds(lambda: found.append(plain(images[start])))  # noqa: B023
            rates.append(gemm_rate(2048, repeats=3))
            same += found[0][0].tokens == found[-1][0][0]
            steps = 1 + max(len(hypothesis.tokens) for image in found[:-1] for hypothesis in image)
            products += BATCH * WIDTH * steps * multiplications_a_word(network)
        compare(
            f"beam search, {variant}",
            IMAGES / ours,
            IMAGES / BATCH / theirs,
            "images/s",
            "batched",
            "per candidate",
        )
        rate, limit = 2 * products / ours, np.median(rates)
        print(
            f"beam search, {variant}: {rate / 1e9:.0f} GFLOP/s, {rate / limit:.2f} of a matrix product's; "
            f"the best caption is the same by both for {same} of {IMAGES // BATCH} images",
            flush=True,
        )


class PerCandidate:
    """The beam search of TF-mRNN (py_lib/tf_mrnn_decoder.py): the whole network for one candidate at a time.

    Every live candidate is expanded by its best words and the best of all are kept; what ends is put aside, and what is
    worse than all that was put aside is not expanded any more.
    """

    def __init__(self, network: MRNN):
        """One step of the graph, image included, is compiled."""
        self._network = network

        @tf.function
        def step(word: tf.Tensor, state: list[tf.Tensor], features: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
            logits, new_state = network.step(word, state, network.project_image(features))
            return tf.nn.softmax(logits), new_state

        self._step = step

    def __call__(self, features: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
        """Features (D,) -> the best captions and their -ln P, best first."""
        row = tf.constant(features[None])
        live = [((), 0.0, self._network.initial_state(1, self._network.project_image(row)))]
        good: list[tuple[tuple[int, ...], float]] = []
        for length in range(MAX_LENGTH):
            expanded = []
            for words, loss, state in live:
                if len(good) > WIDTH and loss > max(other for _, other in good):
                    continue
                shares, new_state = self._step(tf.constant([words[-1] if words else BOS]), state, row)
                shares = shares.numpy()[0]
                if length < SHORTEST:
                    shares[BOS] = 1e-30
                for word in np.argpartition(-shares, WIDTH)[:WIDTH]:
                    expanded.append(((*words, int(word)), loss - float(np.log(shares[word])), new_state))
            expanded.sort(key=lambda candidate: candidate[1])
            good += [(words[:-1], loss) for words, loss, _ in expanded[:WIDTH] if words[-1] == BOS]
            live = [candidate for candidate in expanded[:WIDTH] if candidate[0][-1] != BOS]
            if not live:
                break
        good += [(words, loss) for words, loss, _ in live]
        return sorted(good, key=lambda candidate: candidate[1])[:WIDTH]
