"""Blocks of backbones, and splits below the last blocks."""

import keras
import numpy as np
import pytest
from keras import layers

from model.backbones.alexnet import build_alexnet
from model.backbones.blocks import blocks_of, split_before_block
from schemas.errors import ConfigurationError

IMAGES = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)


def build_chain():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="block1_conv1")(x)
    x = layers.Conv2D(4, 3, activation="relu", name="block1_conv2")(x)
    x = layers.MaxPooling2D(name="block1_pool")(x)
    x = layers.Conv2D(5, 1, activation="relu", name="block2_conv1")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(3, name="fc1")(x))


def build_branches():
    """Two blocks side by side, `conv2` and `conv3`, over `conv1`."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv1")(inputs)
    y, z = (layers.Conv2D(4, 3, name=name)(x) for name in ("conv2", "conv3"))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Concatenate()([y, z])))


def test_blocks_are_identified_by_name():
    assert [*blocks_of(build_chain())] == ["block1", "block2", "fc1"]
    assert [*blocks_of(build_alexnet(67))] == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
    mobile = blocks_of(keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(32, 32, 3)))
    assert [*mobile][-3:] == ["block_15", "block_16", "Conv_1"]
    assert [layer.name for layer in mobile["Conv_1"]] == ["Conv_1", "Conv_1_bn"]
    assert len(mobile["block_16"]) == 6, "expansion, depthwise and projection, each with its normalization"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_split_parts_compose_to_the_backbone(count):
    encoder = build_chain()
    cut = split_before_block(encoder, count)
    np.testing.assert_array_equal(cut.trainable(cut.frozen(IMAGES)), encoder(IMAGES))
    assert cut.variables == encoder.trainable_variables[-2 * [1, 2, 4][count - 1] :]
    assert [id(variable) for variable in cut.trainable.trainable_variables] == [id(each) for each in cut.variables]


def test_split_point_is_as_late_as_possible():
    assert split_before_block(build_chain(), 2).frozen.layers[-1].name == "block1_pool"


def test_blocks_side_by_side_are_cut_below_both():
    encoder = build_branches()
    cut = split_before_block(encoder, 1)
    assert cut.frozen.layers[-1].name == "conv1"
    assert {variable.path.split("/")[0] for variable in cut.variables} == {"conv3"}
    np.testing.assert_array_equal(cut.trainable(cut.frozen(IMAGES)), encoder(IMAGES))


@pytest.mark.parametrize("count", [0, 4])
def test_split_counts_the_blocks(count):
    with pytest.raises(ConfigurationError, match=r"set blocks to 1\.\.3.* consists of block1, block2, fc1\."):
        split_before_block(build_chain(), count)
