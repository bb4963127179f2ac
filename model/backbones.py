"""The image networks: VGG with its weights from several places, and any network from TensorFlow Hub."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import keras
import numpy as np
import tensorflow as tf

from schemas.errors import ConfigurationError, InputError

CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)  # of the ImageNet training pixels, 0..255
_VGG = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
_VGG_LAYERS = ("fc2", "fc1", "block5_pool")  # fc2 after ReLU is the paper's "15th layer"


@dataclass(frozen=True)
class BackboneSpec:
    """Which network, in words that fit into a configuration file.

    name: `vgg16/fc2` (also vgg19, fc1, block5_pool) or `hub:HANDLE` (a TensorFlow Hub address or a SavedModel folder);
    weights: for VGG `imagenet`, `random:SEED` or a file of Keras weights; input_size: side of the input in pixels.
    """

    name: str
    weights: str
    input_size: int

    @property
    def kind(self) -> str:
        """How the features are called in artifacts; says nothing of where the network lies on this disk."""
        if not self.name.startswith("hub:"):
            return self.name
        handle = self.name.removeprefix("hub:")
        return f"hub/{urlsplit(handle).path.strip('/') if '://' in handle else Path(handle).name}"


@dataclass(frozen=True)
class Backbone:
    """A network ready to use: `features(uint8 RGB (B, S, S, 3)) -> float32 (B, dimension)`."""

    features: Callable[[np.ndarray], np.ndarray]
    dimension: int
    preprocessing: str
    weights_digest: str


@cache
def load_backbone(spec: BackboneSpec) -> Backbone:
    """Loads the network, once a process.

    Raises:
        ConfigurationError: there is no such network or layer.
        InputError: the weights cannot be read or do not fit.
    """
    if spec.name.startswith("hub:"):
        return _load_hub(spec)
    network, _, layer = spec.name.partition("/")
    if network not in _VGG or layer not in _VGG_LAYERS:
        known = ", ".join(f"{vgg}/{each}" for vgg in _VGG for each in _VGG_LAYERS)
        raise ConfigurationError(f"There is no backbone {spec.name!r}; set it to one of {known} or to hub:HANDLE.")
    return _load_vgg(network, layer, spec)


def vgg_preprocess(images: tf.Tensor) -> tf.Tensor:
    """RGB 0..255 (B, S, S, 3) -> BGR, mean subtracted, as the Caffe weights want it."""
    return tf.cast(images, tf.float32)[..., ::-1] - tf.constant(CAFFE_MEAN_BGR)


def _load_vgg(network: str, layer: str, spec: BackboneSpec) -> Backbone:
    full = _vgg_with_weights(network, spec)
    model = keras.Model(full.input, keras.layers.Flatten(name="as_vector")(full.get_layer(layer).output))

    @tf.function(reduce_retracing=True)
    def forward(images: tf.Tensor) -> tf.Tensor:
        return model(vgg_preprocess(images), training=False)

    return Backbone(
        features=lambda images: forward(tf.constant(images)).numpy(),
        dimension=int(model.output.shape[-1]),
        preprocessing="BGR, 0..255, minus (103.939, 116.779, 123.68)",
        weights_digest=_digest(weight.tobytes() for weight in full.get_weights()),
    )


def _vgg_with_weights(network: str, spec: BackboneSpec) -> keras.Model:
    shape = (spec.input_size, spec.input_size, 3)
    if spec.weights == "imagenet":
        try:
            return _VGG[network](weights="imagenet", input_shape=shape)
        except Exception as error:  # a download that fails is a plain Exception in Keras
            reason = " ".join(str(error).split())
            raise InputError(
                f"The ImageNet weights of {network} cannot be had for an input of {spec.input_size} ({reason}); they "
                "need a network connection and an input of 224: else set weights to a file or to random:SEED."
            ) from error
    model = _VGG[network](weights=None, input_shape=shape)
    kind, _, seed = spec.weights.partition(":")
    if kind == "random":
        if not seed.isdecimal():
            raise ConfigurationError(f"The weights {spec.weights!r} have no seed; set them to random:0, for example.")
        _seed_weights(model, int(seed))
        return model
    try:
        model.load_weights(spec.weights)
    except (OSError, ValueError) as error:
        raise InputError(f"{spec.weights} cannot be used as weights of {network} ({error}).") from error
    return model


def _seed_weights(model: keras.Model, seed: int) -> None:
    """Random weights that keep the size of activations from layer to layer (He et al. 2015), biases zero."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if len(shape) > 1:
                deviation = np.sqrt(2.0 / np.prod(shape[:-1]))
                variable.assign(deviation * random.standard_normal(shape, np.float32))


def _load_hub(spec: BackboneSpec) -> Backbone:
    import tensorflow_hub

    handle = spec.name.removeprefix("hub:")
    try:
        folder = Path(tensorflow_hub.resolve(handle))
        module = tensorflow_hub.load(str(folder))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{handle} cannot be loaded as a TensorFlow Hub module ({reason}).") from error

    @tf.function(reduce_retracing=True)
    def forward(images: tf.Tensor) -> tf.Tensor:
        return module(tf.cast(images, tf.float32) / 255.0)

    try:
        probe = forward(tf.zeros((1, spec.input_size, spec.input_size, 3), tf.uint8))
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise InputError(
            f"{handle} takes no pictures of {spec.input_size}x{spec.input_size}; check input_size, or take another."
        ) from error
    if len(probe.shape) != 2:
        raise InputError(f"{handle} gives an output of shape {probe.shape}, not one vector an image; take another.")
    return Backbone(
        features=lambda images: forward(tf.constant(images)).numpy(),
        dimension=int(probe.shape[-1]),
        preprocessing="RGB, 0..1",
        weights_digest=_digest(each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()),
    )


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
