"""Backbones of all families in one form: images in, features out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from model.backbones.blocks import SplitModel, split_before_block
from model.backbones.spec import AVERAGE, BackboneSpec
from model.backbones.weights import build_with_weights, digest_weights
from model.precision import precision
from schemas.errors import ConfigurationError, ResourceError


class SplitOnOOM:
    """Halves the batch from the first time on that the device runs out of memory."""

    def __init__(self, compute: Callable[[NDArray[np.uint8]], NDArray[np.float32]]):
        """Wrap `compute(images (B, ...)) -> (B, ...)`, which must treat the images of a batch independently."""
        self.compute = compute
        self.parts = 1

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute like `compute`.

        Raises:
            ResourceError: Half a batch exceeds the memory too.
        """
        try:
            return self._in_parts(images)
        except tf.errors.ResourceExhaustedError as error:
            if self.parts == 2 or len(images) < 2:
                raise ResourceError(
                    f"Memory ran out for {len(images)} images in {self.parts} parts; lower batch_size."
                ) from error
            self.parts = 2
        return self(images)  # outside of the handler, where the error no longer references its tensors

    def _in_parts(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = np.array_split(images, min(self.parts, len(images)))
        return np.concatenate([self.compute(part) for part in parts]) if len(parts) > 1 else self.compute(images)


CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)  # of the ImageNet training pixels, 0..255
CAFFE_PREPROCESSING = "BGR, 0..255, minus (103.939, 116.779, 123.68)"


Preprocess = Callable[[tf.Tensor], tf.Tensor]  # RGB 0..255 -> preprocessed images


class TrainableNetwork(Protocol):
    """A backbone whose last blocks can be trained."""

    @property
    def preprocess(self) -> Preprocess:
        """Function that preprocesses images."""

    def split(self, count: int) -> SplitModel:
        """Split below the last `count` blocks.

        Raises:
            ConfigurationError: There are fewer blocks.
        """

    def save_weights(self, path: Path) -> None:
        """Write all weights to a file `*.weights.h5`, from which `load_backbone` reads them."""


@dataclass(frozen=True)
class KerasNetwork:
    """A `TrainableNetwork` of Keras models.

    Attributes:
        encoder: Preprocessed images (B, S, S, 3) -> features (B, dimension).
        preprocess: RGB 0..255 -> preprocessed images.
        whole: Model that contains the layers of `encoder`, and whose weights are saved and loaded.
    """

    encoder: keras.Model
    preprocess: Preprocess
    whole: keras.Model

    def split(self, count: int) -> SplitModel:
        """Split `encoder`, see `split_before_block`."""
        return split_before_block(self.encoder, count)

    def save_weights(self, path: Path) -> None:
        """Write the weights of `whole`."""
        self.whole.save_weights(path)

    def forward(self, images: tf.Tensor) -> tf.Tensor:
        """Compute features (B, dimension) of RGB images 0..255 (B, S, S, 3), in inference mode."""
        return self.encoder(self.preprocess(images), training=False)


@dataclass(frozen=True)
class Backbone:
    """A loaded backbone.

    Attributes:
        features: uint8 RGB (B, S, S, 3) -> float32 features (B, dimension), where S is `input_size`.
        input_size: Side of the input in pixels.
        dimension: Length of a feature vector.
        preprocessing: Description of the preprocessing of pixels.
        weights_digest: SHA-256 of the weights.
        build_network: Builds `network`; None for a SavedModel.
    """

    features: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    input_size: int
    dimension: int
    preprocessing: str
    weights_digest: str
    build_network: Callable[[], TrainableNetwork] | None = None

    @cached_property
    def network(self) -> TrainableNetwork | None:
        """The network for training; None for a SavedModel, whose layers are not accessible."""
        return self.build_network() if self.build_network else None


def compile_forward(
    spec: BackboneSpec, forward: Callable[[tf.Tensor], tf.Tensor]
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Compile `forward` to one graph, from pixels to float32 features as NumPy arrays."""
    compiled = tf.function(forward, autograph=False, reduce_retracing=not spec.xla, jit_compile=spec.xla)
    return SplitOnOOM(lambda images: tf.cast(compiled(tf.constant(images)), tf.float32).numpy())


def caffe_preprocess(images: tf.Tensor) -> tf.Tensor:
    """Convert RGB images 0..255 (B, S, S, 3) to BGR minus the mean, the input of networks trained with Caffe."""
    return tf.cast(images, tf.float32)[..., ::-1] - tf.constant(CAFFE_MEAN_BGR)


def pool_cells(feature_map: Any, grid: int) -> Any:
    """Average a feature map over a grid of equal cells, which overlap where the side is no multiple of `grid`.

    Args:
        feature_map: Tensor or symbolic tensor (B, H, H, C).
        grid: Number of cells along each side.

    Returns:
        Tensor of the same kind (B, grid * grid * C): by row, column, channel.

    Raises:
        ConfigurationError: The map is smaller than the grid.
    """
    side = int(feature_map.shape[1])
    check_grid(side, grid)
    if grid == 1:
        return layers.GlobalAveragePooling2D()(feature_map)
    stride = side // grid
    return layers.Flatten()(layers.AveragePooling2D(side - (grid - 1) * stride, stride)(feature_map))


def check_grid(side: int, grid: int) -> None:
    """Check that a feature map of `side` x `side` positions has `grid` x `grid` cells.

    Raises:
        ConfigurationError: It is smaller.
    """
    if side < grid:
        raise ConfigurationError(
            f"The last feature map is {side}x{side}, too small for pool = grid:{grid}; raise input_size or lower pool."
        )


def check_not_pooled(spec: BackboneSpec) -> None:
    """Check that a network whose output is a vector has the default `pool`.

    Raises:
        ConfigurationError: Another `pool` is requested.
    """
    if spec.grid > 1:
        raise ConfigurationError(
            f"{spec.name} has no feature map to pool; set pool to {AVERAGE}, or backbone to an efficientnet-lite or "
            "keras: network."
        )


def load_caffe_network(
    spec: BackboneSpec, names: Sequence[str], usage: str, size: int, build: Callable[[str | None], keras.Model]
) -> Backbone:
    """Load a network trained with Caffe up to the layer `spec.rest`; maps are flattened by height, width, channel.

    Args:
        spec: Backbone.
        names: Layers that features are taken from.
        usage: Valid names of the backbone, for the error message.
        size: Side of the input in pixels.
        build: See `build_with_weights`.

    Raises:
        ConfigurationError: The layer is not one of `names`.
    """
    if spec.rest not in names:
        raise ConfigurationError(f"There is no backbone {spec.name!r}; set it to {usage}.")
    check_not_pooled(spec)
    with precision(spec.precision):
        full = build_with_weights(spec, build)
        model = keras.Model(full.input, layers.Flatten(name="as_vector")(full.get_layer(spec.rest).output))
    network = KerasNetwork(model, caffe_preprocess, full)
    return Backbone(
        features=compile_forward(spec, network.forward),
        input_size=size,
        dimension=int(model.output.shape[-1]),
        preprocessing=CAFFE_PREPROCESSING,
        weights_digest=digest_weights(full),
        build_network=lambda: network,
    )
