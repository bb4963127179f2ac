"""Captions from the network: beam search, batched over images. Width 1 is greedy search."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from model.ensemble import Ensemble
from model.network import MRNN
from schemas.feature_rows import FeatureRows
from schemas.vocabulary import BOS, PAD, UNK

_IMPOSSIBLE = -1e30  # log-probability of what must not happen; finite, so that sums stay numbers


@dataclass(frozen=True)
class Decoded:
    """A caption as word ids, without start and end sign, and ln P(words, end sign | image) in nats."""

    tokens: tuple[int, ...]
    log_prob: float


class BeamSearch:
    """Beam search over one network, or several as one.

    At each step every live hypothesis is continued by every word. Of all continuations the best `beam_width` count:
    those among them that end are finished hypotheses, and the best `beam_width` of the others live on. The score is
    the sum of log-probabilities, without length normalisation, as in the paper. An image is done when no live
    hypothesis can overtake the worst of its `beam_width` finished ones. Equal scores go to the better parent
    hypothesis, then to the smaller word id. Hypotheses that are alive after `max_length` words compete as they are.
    """

    def __init__(
        self,
        network: MRNN | Ensemble,
        beam_width: int,
        max_length: int = 30,
        forbidden: Sequence[int] = (PAD, UNK),
    ):
        """`forbidden` words (ids) are never generated."""
        self.beam_width, self.max_length = beam_width, max_length
        vocabulary_size = network.sizes["vocabulary_size"]
        penalty = np.zeros(vocabulary_size, np.float32)
        penalty[list(forbidden)] = _IMPOSSIBLE

        @tf.function(reduce_retracing=True)
        def advance(
            tokens: tf.Tensor, scores: tf.Tensor, state: list[Any], image: Any
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[Any]]:
            """tokens, scores (B, W), states and images (B*W, ...) -> the 2W best continuations of each image."""
            logits, new_state = network.step(tf.reshape(tokens, [-1]), state, image)
            log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32)) + penalty
            totals = scores[:, :, None] + tf.reshape(log_probs, [-1, beam_width, vocabulary_size])
            # top_k puts the lower index first among equals: the better parent, then the smaller word id.
            best, index = tf.math.top_k(tf.reshape(totals, [-1, beam_width * vocabulary_size]), 2 * beam_width)
            return best, index // vocabulary_size, index % vocabulary_size, new_state

        self._advance = advance
        self._network = network

    def __call__(self, features: np.ndarray) -> list[list[Decoded]]:
        """features (B, D) -> for each image at most `beam_width` hypotheses, best first."""
        images, width = len(features), self.beam_width
        projected = self._network.project_image(tf.constant(features, tf.float32))
        image = tf.nest.map_structure(lambda part: tf.repeat(part, width, axis=0), projected)
        state = self._network.initial_state(images * width, image)
        tokens = np.full((images, width), BOS, np.int32)
        scores = np.full((images, width), _IMPOSSIBLE, np.float32)
        scores[:, 0] = 0.0  # all hypotheses start alike: only one may be continued at first
        history = np.zeros((images, width, 0), np.int32)
        finished: list[list[Decoded]] = [[] for _ in range(images)]

        for _ in range(self.max_length):
            best, parents, words, state = self._advance(tokens, scores, state, image)
            best, parents, words = best.numpy(), parents.numpy(), words.numpy()
            ends = words == BOS
            for row, column in zip(*np.nonzero(ends[:, :width] & (best[:, :width] > _IMPOSSIBLE / 2)), strict=True):
                caption = tuple(history[row, parents[row, column]].tolist())
                finished[row].append(Decoded(caption, float(best[row, column])))
            # At most W of the 2W candidates end, so W others are left; a stable sort keeps them best first.
            alive = np.argsort(ends, axis=1, kind="stable")[:, :width]
            scores, parents, tokens = (np.take_along_axis(array, alive, axis=1) for array in (best, parents, words))
            history = np.concatenate(
                [np.take_along_axis(history, parents[:, :, None], axis=1), tokens[:, :, None]], axis=2
            )
            survivors = (np.arange(images)[:, None] * width + parents).reshape(-1)
            state = tf.nest.map_structure(lambda part: tf.gather(part, survivors), state)  # noqa: B023  (at once)
            for found in finished:
                found.sort(key=lambda hypothesis: -hypothesis.log_prob)
                del found[width:]
            if all(len(f) == width and f[-1].log_prob >= scores[row, 0] for row, f in enumerate(finished)):
                break
        else:
            for row, found in enumerate(finished):
                found += [
                    Decoded(tuple(history[row, column].tolist()), float(scores[row, column]))
                    for column in range(width)
                    if scores[row, column] > _IMPOSSIBLE / 2
                ]
                found.sort(key=lambda hypothesis: -hypothesis.log_prob)
                del found[width:]
        return finished


def decode_images(
    search: BeamSearch,
    features: np.ndarray | FeatureRows,
    batch_size: int,
    progress: Callable[[float], None] = lambda done: None,
) -> Iterator[list[Decoded]]:
    """Hypotheses of each image of `features` (N, D), in order, `batch_size` images at a time."""
    for start in range(0, len(features), batch_size):
        yield from search(features[start : start + batch_size])
        progress(min(1.0, (start + batch_size) / len(features)))
