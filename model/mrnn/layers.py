"""Feed-forward layers of the m-RNNs (Mao et al., ICLR 2015, Section 3) that Keras does not have."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from model.mrnn.initializers import Initializers
from schemas.features import FeatureRows


def mean_and_std(
    features: NDArray[np.floating] | FeatureRows, rows: int = 256
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the mean and standard deviation of each column, block by block in double precision.

    Args:
        features: Feature matrix (N, D).
        rows: Number of rows per block.

    Returns:
        Mean and standard deviation, float64 (D,) each.
    """
    mean, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    done = 0
    for start in range(0, len(features), rows):
        block = features[start : start + rows].astype(np.float64)
        block_mean = block.mean(axis=0)
        # Chan et al.: the squared deviations from the mean of both parts.
        share = len(block) / (done + len(block))
        differences = block - block_mean
        squares += np.einsum("nd,nd->d", differences, differences) + np.square(block_mean - mean) * done * share
        mean += (block_mean - mean) * share
        done += len(block)
    return mean, np.sqrt(squares / max(1, done))


def scaled_tanh(x: Any) -> Any:
    """g2(x) = 1.7159 tanh(2x/3), element-wise (LeCun et al., "Efficient backprop"; the paper's Equation 3)."""
    return 1.7159 * ops.tanh(x * (2.0 / 3.0))


class Dropout(keras.layers.Dropout):
    """Inverted dropout whose masks cost one random byte per number.

    Keras draws a float32 for each number, which takes longer than the products of a small network. The rate is rounded
    to a multiple of 1/256, and what remains is scaled by that rate, so that means are kept.

    Attributes:
        use_bytes: Whether this is done. XLA cannot draw bytes for a number of tokens that only the data determines.
    """

    use_bytes = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Set values to 0 at random in training, and scale the others."""
        if not self.use_bytes:
            return super().call(inputs, training=training)
        dropped = round(self.rate * 256)
        if not training or not dropped:
            return inputs
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        words = [(tf.size(inputs) + 3) // 4]
        bits = tf.random.stateless_uniform(words, seed, minval=None, maxval=None, dtype=tf.uint32)
        random_bytes = tf.reshape(tf.bitcast(bits, tf.uint8), [-1])[: tf.size(inputs)]
        kept = tf.reshape(random_bytes >= dropped, tf.shape(inputs))
        return inputs * (tf.cast(kept, inputs.dtype) * (256.0 / (256.0 - dropped)))


class FeatureScaling(keras.layers.Layer):
    """(x - mean) / standard deviation, column by column, with the statistics of the training images.

    Image features (B, D) -> (B, D), float32. Until `adapt` is called it is the identity.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the two non-trainable weights, of shape (D,)."""
        shape = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.std = self.add_weight(name="std", shape=shape, initializer="ones", trainable=False)

    def adapt(self, mean: Any, std: Any) -> None:
        """Set the statistics.

        Args:
            mean: Mean of each column (D,).
            std: Standard deviation of each column (D,); constant columns are not divided.
        """
        self.mean.assign(mean)
        self.std.assign(ops.where(ops.convert_to_tensor(std) > 1e-6, std, 1.0))

    def call(self, features: Any) -> Any:
        """Scale the features."""
        return (features - self.mean) / self.std


class MultimodalLayer(keras.layers.Layer):
    """Fusion of language and image, in one of two forms.

        m(t) = g2(V_w w(t) + V_r r(t) + V_I I + b)            `scaled_tanh` (Mao et al. 2015, Equation 3)
        m(t) = relu(V_r r(t) + b_r) + relu(V_I I + b_I)       `relu` (TF-mRNN)

    Token and image can be left out. `project_image` and `project_language` compute the parts, since that of the image
    is the same at every token and that of the language for every image; the layer itself adds them.
    """

    def __init__(
        self,
        units: int,
        initializers: Initializers,
        fusion: str = "scaled_tanh",
        word: bool = True,
        image: bool = True,
        **options: Any,
    ):
        """Create the layer.

        Args:
            units: Size of the multimodal space.
            initializers: Source of the initial weights.
            fusion: One of the two forms above.
            word: Whether the embedded token is an input.
            image: Whether the image is an input.
            options: Options of `keras.layers.Layer`.
        """
        super().__init__(**options)

        def dense(name: str, use_bias: bool) -> keras.layers.Dense:
            kernel = initializers.glorot_uniform()
            return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=kernel, name=name)

        own_bias = fusion == "relu"  # each part has a bias; otherwise the first
        self.of_part = ops.relu if own_bias else keras.activations.linear
        self.of_sum = keras.activations.linear if own_bias else scaled_tanh
        self.from_word: Any = dense("from_word", True) if word else None
        self.from_recurrent = dense("from_recurrent", own_bias or not word)
        self.from_image: Any = dense("from_image", own_bias) if image else None

    def build(self, word_shape: Any, recurrent_shape: Any, image_shape: Any) -> None:
        """Create the weights.

        Args:
            word_shape: Shape of the embedded tokens.
            recurrent_shape: Shape of the recurrent states.
            image_shape: Shape of the scaled image features.
        """
        if self.from_word:
            self.from_word.build(word_shape)
        self.from_recurrent.build(recurrent_shape)
        if self.from_image:
            self.from_image.build(image_shape)
        self.built = True

    def project_image(self, features: Any) -> Any:
        """Compute V_I I: (..., D) -> (..., units)."""
        return self.of_part(self.from_image(features))

    def project_language(self, words: Any, recurrent: Any) -> Any:
        """Compute V_w w + V_r r + b from embedded tokens (..., W) and recurrent states (..., R): (..., units)."""
        part = self.of_part(self.from_recurrent(recurrent))
        return self.of_part(self.from_word(words)) + part if self.from_word else part

    def call(self, language: Any, image: Any = None) -> Any:
        """Fuse both parts (..., units), whose leading axes broadcast, to m (..., units)."""
        return self.of_sum(language if image is None else language + image)


class TiedSoftmax(keras.layers.Layer):
    """Transposed weight sharing: logits = E1 f(W m + b) + b', E1 being the token embedding (arXiv 1504.06692).

    m (..., M) and E1 (V, E) -> logits (..., V).
    """

    def __init__(
        self, vocabulary_size: int, embedding_size: int, activation: str, initializers: Initializers, **options: Any
    ):
        """Create the layer.

        Args:
            vocabulary_size: Number of tokens V.
            embedding_size: Size of the embedding E.
            activation: The function f, `scaled_tanh` or `relu`.
            initializers: Source of the initial weights.
            options: Options of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.vocabulary_size = vocabulary_size
        self.to_embedding = keras.layers.Dense(
            embedding_size,
            activation=scaled_tanh if activation == "scaled_tanh" else activation,
            kernel_initializer=initializers.glorot_uniform(),
            name="to_embedding",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W, b and b'."""
        self.to_embedding.build(input_shape)
        self.bias = self.add_weight(name="bias", shape=(self.vocabulary_size,), initializer="zeros")
        self.built = True

    def call(self, joint: Any, embeddings: Any) -> Any:
        """Compute the logits (..., V)."""
        return ops.matmul(self.to_embedding(joint), ops.transpose(embeddings)) + self.bias
