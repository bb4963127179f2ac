"""Interface of the models that decoding accepts: one m-RNN, or an ensemble of several."""

from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf


class StepModel(Protocol):
    """A model that predicts one token at a time. States and projected images are nested structures of tensors.

    Attributes:
        sizes: At least `vocabulary_size` and `feature_size`.
    """

    @property
    def sizes(self) -> Mapping[str, int]:
        """Layer sizes by name."""
        ...

    def project_image(self, features: tf.Tensor) -> Any:
        """Compute what depends on the image alone from features (B, D), with leading axis B."""
        ...

    def initial_state(self, batch: Any, image: Any) -> Any:
        """Return the states before the first token.

        Args:
            batch: Number of captions.
            image: Projected images of the captions.
        """
        ...

    def step(self, tokens: tf.Tensor, state: Any, image: Any) -> tuple[tf.Tensor, Any]:
        """Advance each caption by one token.

        Args:
            tokens: Token ids int32 (B,).
            state: States before these tokens.
            image: Projected images of the captions.

        Returns:
            Logits or log-probabilities of the next token (B, vocabulary_size), and the new states.
        """
        ...
