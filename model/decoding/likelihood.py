"""Probability of each token of a given caption."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.decoding.step_model import StepModel
from schemas.vocabulary import BOS


def token_log_probs(model: StepModel, features: NDArray[np.floating], tokens: Sequence[int]) -> NDArray[np.float32]:
    """Compute ln P(token | tokens before it, image) of a caption.

    Args:
        model: One network, or an ensemble.
        features: Features (D,) of the image.
        tokens: Token ids of the caption, without start and end token.

    Returns:
        float32 (len(tokens) + 1,) in nats; the last one is that of the end token.
    """
    image = model.project_image(tf.constant(features[None], tf.float32))
    state = model.initial_state(1, image)
    log_probs = []
    for last, token in zip((BOS, *tokens), (*tokens, BOS), strict=True):
        logits, state = model.step(tf.constant([last]), state, image)
        log_probs.append(tf.nn.log_softmax(tf.cast(logits, tf.float32))[0, token].numpy())
    return np.array(log_probs, np.float32)
