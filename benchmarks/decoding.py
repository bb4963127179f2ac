"""Beam search of width 10, against TF-mRNN's: image by image, candidate by candidate."""

from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.machine import describe_run, square_product
from benchmarks.timing import Cost, Rounds, cost, print_head, print_row
from benchmarks.training import multiplications_a_word
from model.decoding.beam_search import BeamSearch
from model.decoding.constraints import Constraints
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from schemas.vocabulary import BOS

ROUNDS, BATCH, WIDTH, MAX_LENGTH = 10, 50, 10, 30
SHORTEST = 9  # words; those that TF-mRNN released have 9.4, an untrained network would end at once
VOCABULARY = 13_691
FEATURES = {"mrnn": 4096, "tf-mrnn": 2048}
SIDE = 2048  # of the square product


def run() -> None:
    """Decode a batch of ours, one image of theirs and a matrix product in each round.

    The table contains medians of the ratios within a round, by wall time and in brackets by processor time.
    """
    print(describe_run("python -m benchmarks decoding"))
    print_head("variant", "images/s", "per candidate", "share of a square product", "same best caption")
    for variant, size in FEATURES.items():
        _measure(variant, size)


def _measure(variant: str, size: int) -> None:
    """Measure one variant and print a row."""
    random = np.random.default_rng(0)
    network = CountingNetwork(MRNN(VOCABULARY, size, ModelConfig(variant)))
    bias = random.normal(0.0, 2.0, VOCABULARY)  # some words are frequent, as in a trained network
    bias[BOS] = 10.0
    network.network.softmax.bias.assign(bias)
    images = random.standard_normal((ROUNDS * BATCH, size)).astype(np.float32)
    search = BeamSearch(network, WIDTH, MAX_LENGTH, Constraints(SHORTEST, forbidden=()))
    plain = PerCandidate(network.network)
    multiply = square_product(SIDE)
    search(images[:BATCH])
    plain(images[0])

    batches = iter(np.split(images, ROUNDS))
    found: list[tuple[Any, Any]] = []  # images and best captions of each round, of ours and theirs
    multiplications = multiplications_a_word(network.network)

    def ours() -> Cost:
        network.rows.assign(0)
        found.append((next(batches), []))
        return cost(lambda: found[-1][1].append(search(found[-1][0])[0][0].tokens)).times(1 / BATCH)

    def theirs() -> Cost:
        return cost(lambda: found[-1][1].append(plain(found[-1][0][0])[0][0]))

    def product() -> Cost:
        return cost(multiply).times(int(network.rows.numpy()) * multiplications / SIDE**3 / BATCH)

    rounds = Rounds({"ours": ours, "theirs": theirs, "product": product}, ROUNDS)
    same = sum(own == other for _, (own, other) in found)
    ratios = [rounds.ratio("ours", other) for other in ("theirs", "product")]
    print_row(f"`{variant}`", f"{rounds.rate('ours'):.1f}", *ratios, f"{same} of {ROUNDS}")


class CountingNetwork:
    """A network that counts the captions that it advances by one token."""

    def __init__(self, network: MRNN):
        """Start with none."""
        self.network, self.sizes, self.rows = network, network.sizes, tf.Variable(0)
        self.project_image, self.initial_state = network.project_image, network.initial_state

    def step(self, tokens: tf.Tensor, state: Any, image: Any) -> tuple[tf.Tensor, Any]:
        """Advance and count the captions."""
        self.rows.assign_add(tf.size(tokens))
        logits, new_state = self.network.step(tokens, state, image)
        return logits, new_state


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
