"""Ensemble of trained m-RNNs, which averages their probabilities of each token."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from model.decoding.step_model import StepModel
from schemas.errors import ConfigurationError


class Ensemble:
    """A `StepModel` of several networks with the same vocabulary and image features.

    P(token) is the mean of P(token) of the networks; states and images are lists with one entry per network.
    """

    def __init__(self, networks: Sequence[StepModel]):
        """Combine networks.

        Raises:
            ConfigurationError: There are none, or they differ in the sizes of vocabulary or features.
        """
        if not networks:
            raise ConfigurationError("An ensemble needs a network; give one or more.")
        for name in ("vocabulary_size", "feature_size"):
            sizes = {network.sizes[name] for network in networks}
            if len(sizes) > 1:
                raise ConfigurationError(f"The networks of an ensemble differ in their {name}: {sorted(sizes)}.")
        self.networks = list(networks)
        self.sizes = networks[0].sizes

    def project_image(self, features: Any) -> list[Any]:
        """Return the projected images of each network, from features (B, D)."""
        return [network.project_image(features) for network in self.networks]

    def initial_state(self, batch: int, image: Sequence[Any]) -> list[Any]:
        """Return the states of each network before the first token."""
        return [network.initial_state(batch, own) for network, own in zip(self.networks, image, strict=True)]

    def step(self, tokens: Any, state: Sequence[Any], image: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Advance each caption by one token.

        Args:
            tokens: Token ids int32 (B,).
            state: States of each network before them.
            image: Projected images of each network.

        Returns:
            ln of the mean probability, float32 (B, vocabulary_size), and the new states of each network.
        """
        steps = [
            network.step(tokens, own_state, own_image)
            for network, own_state, own_image in zip(self.networks, state, image, strict=True)
        ]
        log_probs = tf.stack([tf.nn.log_softmax(tf.cast(logits, tf.float32)) for logits, _ in steps])
        mean = tf.reduce_logsumexp(log_probs, axis=0) - tf.math.log(float(len(steps)))
        return mean, [new_state for _, new_state in steps]


def as_one(networks: Sequence[StepModel]) -> StepModel:
    """Return the only network, or the ensemble of several; raises the errors of `Ensemble`."""
    return networks[0] if len(networks) == 1 else Ensemble(networks)
