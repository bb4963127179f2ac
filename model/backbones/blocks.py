"""Blocks of a backbone, and the split into a frozen trunk and trainable last blocks."""

import re
from dataclasses import dataclass

import keras

from schemas.errors import ConfigurationError

# `block5_conv1`, `conv5_block3_1_conv` and `block_16_expand_bn` are parts of a block; `Conv_1_bn` goes with `Conv_1`.
_BLOCK = re.compile(r".*?block_?\d+[a-z]?(?=_|$)|.+?(?=(_conv|_bn)?$)")


@dataclass(frozen=True)
class SplitModel:
    """A backbone in two parts that share its layers.

    Attributes:
        frozen: Preprocessed images (B, S, S, 3) -> activations at the split point (B, ...).
        trainable: Activations at the split point -> features (B, D).
        variables: Trainable weights of the chosen blocks. `trainable` has no others, unless chosen blocks are parallel
            to blocks that are not chosen.
    """

    frozen: keras.Model
    trainable: keras.Model
    variables: list[keras.Variable]


def blocks_of(encoder: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """Group the layers with trainable weights by block, in the order of the network.

    Layer names define the blocks (`block5_conv1` to `block5_conv3`). A layer outside of any block, such as `fc2`, is a
    block of its own, together with its batch normalization.
    """
    blocks: dict[str, list[keras.layers.Layer]] = {}
    for layer in encoder.layers:
        if layer.trainable_variables:
            found = _BLOCK.match(layer.name)
            assert found, "every layer has a name"
            blocks.setdefault(found.group(), []).append(layer)
    return blocks


def split_before_block(encoder: keras.Model, count: int) -> SplitModel:
    """Split a backbone at the last possible layer before its last `count` blocks.

    Raises:
        ConfigurationError: The backbone does not have that many blocks.
    """
    blocks = blocks_of(encoder)
    if not 1 <= count <= len(blocks):
        raise ConfigurationError(
            f"{count} blocks cannot be fine-tuned; set blocks to 1..{len(blocks)}; the network consists of "
            f"{', '.join(blocks)}."
        )
    chosen = [layer for layers in [*blocks.values()][-count:] for layer in layers]
    first = min(encoder.layers.index(layer) for layer in chosen)
    for layer in reversed(encoder.layers[:first]):
        try:
            trainable = keras.Model(layer.output, encoder.output)
        except ValueError:  # another path bypasses this layer
            continue
        variables = [variable for each in chosen for variable in each.trainable_variables]
        return SplitModel(keras.Model(encoder.input, layer.output), trainable, variables)
    raise AssertionError("the input layer is a split point")
