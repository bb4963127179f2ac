"""Sampling of captions from the network's distribution, token by token."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.decoding.beam_search import Decoded
from model.decoding.constraints import DEFAULT_CONSTRAINTS, Constraints
from model.decoding.step_model import StepModel
from schemas.errors import ConfigurationError
from schemas.vocabulary import BOS


@dataclass(frozen=True)
class Sampling:
    """Sampling distribution of the next token.

    Attributes:
        temperature: Divisor of the log-probabilities.
        top_k: Number of most probable tokens to sample from; 0 means all.
        top_p: Probability of the most probable tokens to sample from (Holtzman et al. 2020); 1 means all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ConfigurationError(
                f"{self} is invalid: temperature must be over 0, top_k 0 or more, top_p over 0 and at most 1."
            )

    def choose(self, log_probs: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
        """Sample a token from each distribution.

        Args:
            log_probs: ln P of each token, float64 (N, V).
            uniform: Random numbers in 0..1, float64 (N,).

        Returns:
            Token ids int64 (N,).
        """
        if not self.top_k and self.top_p == 1:
            return _inverse_cdf(_unnormalized_probs(log_probs / self.temperature), uniform)
        # Sorting dominates the cost and is only needed for top_k and top_p.
        order = np.argsort(-log_probs, axis=1, kind="stable")
        shares = _unnormalized_probs(np.take_along_axis(log_probs, order, axis=1) / self.temperature)
        shares /= shares.sum(axis=1, keepdims=True)
        if self.top_k:
            shares[:, self.top_k :] = 0.0
        # A token is kept if those before it have not reached top_p.
        shares[np.cumsum(shares, axis=1) - shares >= self.top_p * shares.sum(axis=1, keepdims=True)] = 0.0
        return np.take_along_axis(order, _inverse_cdf(shares, uniform)[:, None], axis=1)[:, 0]


def _unnormalized_probs(log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities (N, V), up to a factor in each row."""
    shares: NDArray[np.float64] = np.exp(log_probs - log_probs.max(axis=1, keepdims=True))
    return shares


def _inverse_cdf(shares: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the first index of each row where the cumulative distribution exceeds `uniform`: int64 (N,)."""
    reached = np.cumsum(shares, axis=1)
    places: NDArray[np.int64] = (reached <= uniform[:, None] * reached[:, -1:]).sum(axis=1)
    return places


def sample_captions(
    network: StepModel,
    features: NDArray[np.floating],
    count: int,
    sampling: Sampling,
    seed: int,
    first: int = 0,
    max_length: int = 30,
    constraints: Constraints = DEFAULT_CONSTRAINTS,
) -> list[list[Decoded]]:
    """Sample captions of images.

    The captions of an image depend on `seed` and on its number, `first` + its row, and not on the other images of the
    batch.

    Args:
        network: One network, or an ensemble.
        features: Features (B, D).
        count: Number of captions per image.
        sampling: Distribution that tokens are sampled from.
        seed: Seed of the random numbers.
        first: Number of the first image among all.
        max_length: Maximum number of tokens.
        constraints: Hard decoding constraints.

    Returns:
        The captions of each image, in the order of the draws. `log_prob` is that of the network, without `sampling` and
        constraints.

    Raises:
        ConfigurationError: The constraints leave no valid token.
    """
    constraints.check(network.sizes["vocabulary_size"], max_length)
    images = len(features)
    uniform = np.stack(
        [np.random.default_rng([seed, first + row]).random((count, max_length)) for row in range(images)]
    ).reshape(images * count, max_length)
    projected = network.project_image(tf.constant(features, tf.float32))
    image = tf.nest.map_structure(lambda part: tf.repeat(part, count, axis=0), projected)
    state = network.initial_state(images * count, image)
    words = np.full(images * count, BOS)
    history = np.zeros((images * count, max_length), np.int32)
    lengths, scores = np.zeros(images * count, np.int64), np.zeros(images * count)
    alive = np.ones(images * count, bool)
    for position in range(max_length):
        log_probs, allowed, state = _step(
            network, constraints, tf.constant(words), state, image, tf.constant(history), tf.constant(position)
        )
        allowed = allowed.numpy()[alive]
        if (allowed.max(axis=1) == -np.inf).any():
            raise constraints.no_valid_token_error()
        words[alive] = sampling.choose(allowed, uniform[alive, position])
        scores[alive] += log_probs.numpy()[alive, words[alive]]
        alive &= words != BOS
        history[:, position] = words
        lengths += alive
        if not alive.any():
            break
    drawn = [
        Decoded(tuple(row[:length].tolist()), float(score))
        for row, length, score in zip(history, lengths, scores, strict=True)
    ]
    return [drawn[row * count : (row + 1) * count] for row in range(images)]


@tf.function(autograph=False, reduce_retracing=True)
def _step(
    network: StepModel,
    constraints: Constraints,
    words: tf.Tensor,
    state: list[Any],
    image: Any,
    history: tf.Tensor,
    length: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, list[Any]]:
    """Advance each caption by one token: ln P of the next token, ln P under the constraints, new states.

    It is a function of the module, so that it is traced once per network and not for every batch.
    """
    logits, state = network.step(words, state, image)
    log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float64))
    return log_probs, constraints.mask(log_probs, history, length), state
