"""AlexNet (Krizhevsky et al. 2012) in the version of Caffe: the backbone of the first m-RNN paper (2014)."""

import keras
import tensorflow as tf
from keras import layers

from model.backbones.base import Backbone, load_caffe_network
from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError

NETWORKS = ("alexnet",)
LAYERS = ("fc7", "fc6", "pool5")
USAGE = f"alexnet/{'|'.join(LAYERS)}"
INPUT_SIZE = 227


def load(spec: BackboneSpec) -> Backbone:
    """Load AlexNet up to one of `LAYERS`, `fc7` and `fc6` after ReLU; maps are flattened by height, width, channel.

    Weights are a file of Keras weights of `build_alexnet`, or random; none are published for Keras.
    """
    if spec.rest in LAYERS and spec.weights == "imagenet":
        raise ConfigurationError("Keras publishes no weights of alexnet; set weights to a file or to random:SEED.")
    size = spec.input_size or INPUT_SIZE
    return load_caffe_network(spec, LAYERS, USAGE, size, lambda _: build_alexnet(size))


def build_alexnet(size: int = INPUT_SIZE) -> keras.Model:
    """Build the network up to `fc7`: BGR pixels minus their mean (B, size, size, 3) -> float32 (B, 4096)."""
    x = inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(96, 11, strides=4, activation="relu", name="conv1")(x)
    x = LocalResponseNormalization(name="norm1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = layers.Conv2D(256, 5, padding="same", groups=2, activation="relu", name="conv2")(x)
    x = LocalResponseNormalization(name="norm2")(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(x)
    x = layers.Conv2D(384, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.Conv2D(384, 3, padding="same", groups=2, activation="relu", name="conv4")(x)
    x = layers.Conv2D(256, 3, padding="same", groups=2, activation="relu", name="conv5")(x)
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(4096, activation="relu", name="fc6")(x)
    x = layers.Dense(4096, activation="relu", name="fc7")(x)
    return keras.Model(inputs, x, name="alexnet")


class LocalResponseNormalization(layers.Layer):
    """Local response normalization (Krizhevsky et al. 2012, Section 3.3) with the constants of Caffe.

    Each channel is divided by (1 + alpha / 5 * sum of squares over the channel and two neighbors on each side) ^ 0.75,
    where alpha is 1e-4.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(B, H, W, C) -> the same shape."""
        return tf.nn.local_response_normalization(inputs, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
