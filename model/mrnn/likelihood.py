"""Perplexity of captions under the m-RNN (the paper's Section 4)."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.mrnn.batching import evaluation_batches
from model.mrnn.network import MRNN
from schemas.captions import Captions
from schemas.features import FeatureRows
from schemas.vocabulary import PAD

MAX_NATS = 700.0  # e ** 700 is still a float


def losses_and_logits(
    network: MRNN, inputs: tf.Tensor, targets: tf.Tensor, features: tf.Tensor, training: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the losses and logits of all tokens of a batch, end tokens included and padding excluded.

    The multimodal layer and the softmax, which dominate the cost, run on tokens only, never on padding.

    Args:
        network: The m-RNN.
        inputs: int32 (B, T), see `Batch`.
        targets: int32 (B, T), see `Batch`.
        features: Features of the image of each caption, float32 (B, D).
        training: Whether dropout is applied.

    Returns:
        -ln P(token | tokens before, image) in nats, float32 (N,), and the logits float32 (N, V), of the N tokens.
    """
    words, direct = network.embed(inputs, training)
    image = network.project_image(features, training)
    recurrent = network.run_recurrent(words, image)
    positions = tf.where(targets != PAD)
    language = network.fuse_language(tf.gather_nd(direct, positions), tf.gather_nd(recurrent, positions), training)
    image = {layer: tf.gather(of_layer, positions[:, 0]) for layer, of_layer in image.items()}
    logits = tf.cast(network.word_logits(language, image, training), tf.float32)
    labels = tf.gather_nd(targets, positions)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits), logits


def perplexity(
    network: MRNN,
    captions: Captions,
    features: NDArray[np.floating] | FeatureRows,
    max_length: int,
    batch_size: int = 256,
    progress: Callable[[float], None] = lambda done: None,
) -> float:
    """Compute the perplexity of captions, 2 ** (mean bits per token) (Section 4, Equation 5).

    The end token counts as a token, and unknown tokens as `<unk>`.

    Args:
        network: The m-RNN.
        captions: Reference captions.
        features: Features (images, D), in the order of `captions.image_ids`.
        max_length: Maximum number of tokens, without the end token.
        batch_size: Number of captions per batch.
        progress: Receives the finished fraction.
    """
    nats = tokens = 0.0
    done = 0
    for batch in evaluation_batches(captions, batch_size, max_length):
        of_images = features[batch.image_index].astype(np.float32)
        nats += float(_total(network, tf.constant(batch.inputs), tf.constant(batch.targets), tf.constant(of_images)))
        tokens += batch.tokens
        done += len(batch.image_index)
        progress(done / len(captions))
    return of_nats(nats / tokens)


def of_nats(nats: float) -> float:
    """Return the perplexity e ** nats of a cross-entropy in nats per token; infinity on overflow."""
    return math.inf if nats > MAX_NATS else math.exp(nats)


@tf.function(autograph=False, reduce_retracing=True)
def _total(network: MRNN, inputs: tf.Tensor, targets: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """Sum the token losses in nats; a function of the module, so that it is traced once per network."""
    losses, _ = losses_and_logits(network, inputs, targets, features, training=False)
    return tf.reduce_sum(losses)
