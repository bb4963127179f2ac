"""Scheduled sampling (Bengio et al. 2015): while training, some of the words before are the network's own.

All words of a batch are drawn at once, each after the true words before it, as Mihaylova and Martins (2019) do; the
words to predict stay the true ones. So a batch costs a second pass without a gradient, not a pass for each position.
"""

import numpy as np
import tensorflow as tf

from model.mrnn.likelihood import losses_and_logits
from model.mrnn.network import MRNN
from schemas.vocabulary import BOS, PAD

_IMPOSSIBLE = -1e30


def share_at(final: float, epoch: int, epochs: int) -> float:
    """The share of words that are the network's own: rises evenly from 0 in epoch 0 to `final` in the last."""
    return final * epoch / max(1, epochs - 1)


@tf.function(reduce_retracing=True)
def replace_words(
    network: MRNN, inputs: tf.Tensor, targets: tf.Tensor, features: tf.Tensor, share: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """Inputs, int32 (B, T), in which each word but the start sign is with probability `share` one that was drawn.

    It is drawn from P(word | true words before, image) without dropout, and is no end sign, since the caption goes on.
    inputs and targets as in `model.mrnn.batching.Batch`; features (B, D); seed: int32 (2,), gives the same words again.
    """
    _, logits = losses_and_logits(network, inputs, targets, features, training=False)
    never = np.zeros(network.sizes["vocabulary_size"], np.float32)
    never[[PAD, BOS]] = _IMPOSSIBLE
    seeds = tf.random.split(seed, 2)
    drawn = tf.random.stateless_categorical(logits + never, 1, seeds[0], dtype=inputs.dtype)[:, 0]
    next_words = tf.scatter_nd(tf.where(targets != PAD), drawn, tf.shape(inputs, tf.int64))
    own = tf.concat([inputs[:, :1], next_words[:, :-1]], axis=1)
    chosen = tf.random.stateless_uniform(tf.shape(inputs), seeds[1]) < share
    return tf.where(chosen & (inputs != PAD), own, inputs)
