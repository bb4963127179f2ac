"""Folded batch normalization against the network that has it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from model.backbones.efficientnet_lite import build_efficientnet_lite
from model.backbones.folding import fold_normalization


def randomize(model, seed):
    random = np.random.default_rng(seed)
    for variable in model.weights:
        low = 0.5 if "variance" in variable.path or "gamma" in variable.path else -0.5
        variable.assign(random.uniform(low, 1.0, tuple(variable.shape)))


def test_fold_normalization_keeps_the_function_of_a_branched_network():
    x = inputs = keras.Input((8, 8, 3))
    for strides in (1, 2):
        x = layers.Conv2D(4, 3, strides, padding="same", use_bias=False)(x)
        x = layers.ReLU(6)(layers.BatchNormalization(epsilon=0.01)(x))
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
    model = keras.Model(inputs, layers.Flatten()(layers.Add()([x, y])))
    randomize(model, 0)
    images = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(np.float32)
    folded = fold_normalization(model)(tf.constant(images))
    np.testing.assert_allclose(folded, model(images, training=False), rtol=1e-4, atol=1e-4)


def test_fold_normalization_has_no_normalization_left():
    model = build_efficientnet_lite("efficientnet-lite0", 32)
    randomize(model, 0)
    graph = tf.function(fold_normalization(model)).get_concrete_function(tf.TensorSpec((None, 32, 32, 3))).graph
    operations = [operation.type for operation in graph.get_operations()]
    convolutions = sum(operations.count(kind) for kind in ("Conv2D", "DepthwiseConv2dNative"))
    assert convolutions == sum(isinstance(layer, layers.BatchNormalization) for layer in model.layers)
    assert {"Rsqrt", "Mul", "Sub", "ReadVariableOp"}.isdisjoint(operations)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "float32"])
def test_fold_normalization_computes_in_the_precision_of_the_layers(precision):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, use_bias=False, dtype=precision)(inputs)
    model = keras.Model(inputs, layers.BatchNormalization(dtype=precision)(x))
    expected = {"mixed_bfloat16": tf.bfloat16, "float32": tf.float32}[precision]
    assert fold_normalization(model)(tf.ones((1, 8, 8, 3))).dtype == expected
