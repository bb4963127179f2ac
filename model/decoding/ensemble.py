"""Several trained m-RNNs that decode as one: the mean of their probabilities at each word."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from model.decoding.step_model import StepModel
from schemas.errors import ConfigurationError


class Ensemble:
    """What `BeamSearch` needs of a network, from several with one vocabulary and the same image features.

    P(word) is the mean of P(word) of the networks; states and images are lists with an entry a network.
    """

    def __init__(self, networks: Sequence[StepModel]):
        """Raise ConfigurationError if the networks differ in the sizes of vocabulary or features."""
        if not networks:
            raise ConfigurationError("An ensemble needs a network; give one or more.")
        for name in ("vocabulary_size", "feature_size"):
            sizes = {network.sizes[name] for network in networks}
            if len(sizes) > 1:
                raise ConfigurationError(f"The networks of an ensemble differ in their {name}: {sorted(sizes)}.")
        self.networks = list(networks)
        self.sizes = networks[0].sizes

    def project_image(self, features: Any) -> list[Any]:
        """Image features (B, D) -> what each network makes of them."""
        return [network.project_image(features) for network in self.networks]

    def initial_state(self, batch: int, image: Sequence[Any]) -> list[Any]:
        """Return the states of each network before the first word."""
        return [network.initial_state(batch, own) for network, own in zip(self.networks, image, strict=True)]

    def step(self, tokens: Any, state: Sequence[Any], image: Sequence[Any]) -> tuple[Any, list[Any]]:
        """One word of each caption: tokens (B,) -> ln of the mean probability (B, vocabulary_size), new states."""
        steps = [
            network.step(tokens, own_state, own_image)
            for network, own_state, own_image in zip(self.networks, state, image, strict=True)
        ]
        log_probs = tf.stack([tf.nn.log_softmax(tf.cast(logits, tf.float32)) for logits, _ in steps])
        mean = tf.reduce_logsumexp(log_probs, axis=0) - tf.math.log(float(len(steps)))
        return mean, [new_state for _, new_state in steps]


def as_one(networks: Sequence[StepModel]) -> StepModel:
    """Return the only network, or the ensemble of several; errors as of `Ensemble`."""
    return networks[0] if len(networks) == 1 else Ensemble(networks)
