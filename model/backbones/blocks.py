"""The blocks of an image network: which there are, and the network cut below the upper ones."""

import re
from dataclasses import dataclass

import keras

from schemas.errors import ConfigurationError

# `block5_conv1`, `conv5_block3_1_conv` and `block_16_expand_bn` are parts of a block; `Conv_1_bn` goes with `Conv_1`.
_BLOCK = re.compile(r".*?block_?\d+[a-z]?(?=_|$)|.+?(?=(_conv|_bn)?$)")


@dataclass(frozen=True)
class SplitModel:
    """An image network in two parts that share its layers.

    lower: preprocessed images (B, S, S, 3) -> what lies at the cut (B, ...); upper: that -> features (B, D); variables:
    the weights of the chosen blocks that are to be trained. `upper` has no others, unless the blocks lie side by side
    with some that are not chosen.
    """

    lower: keras.Model
    upper: keras.Model
    variables: list[keras.Variable]


def blocks_of(encoder: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """The layers that have weights to train, by the name of their block, from the image upwards.

    A block is what Keras's names make one (`block5_conv1` to `block5_conv3`); a layer outside of any, such as `fc2`, is
    one by itself, together with its batch normalization.
    """
    blocks: dict[str, list[keras.layers.Layer]] = {}
    for layer in encoder.layers:
        if layer.trainable_variables:
            found = _BLOCK.match(layer.name)
            assert found, "a layer has a name"
            blocks.setdefault(found.group(), []).append(layer)
    return blocks


def split_before_block(encoder: keras.Model, count: int) -> SplitModel:
    """Cuts the network as high as can be below its `count` uppermost blocks.

    Raises:
        ConfigurationError: it has not so many.
    """
    blocks = blocks_of(encoder)
    if not 1 <= count <= len(blocks):
        raise ConfigurationError(
            f"{count} blocks cannot be fine-tuned; set blocks to 1..{len(blocks)}, for the network has, from the image "
            f"upwards, {', '.join(blocks)}."
        )
    chosen = [layer for layers in [*blocks.values()][-count:] for layer in layers]
    first = min(encoder.layers.index(layer) for layer in chosen)
    for below in reversed(encoder.layers[:first]):
        try:
            upper = keras.Model(below.output, encoder.output)
        except ValueError:  # a path leads past this layer
            continue
        variables = [variable for layer in chosen for variable in layer.trainable_variables]
        return SplitModel(keras.Model(encoder.input, below.output), upper, variables)
    raise AssertionError("the input itself is a cut")
