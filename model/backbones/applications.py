"""Networks of `keras.applications` with their own preprocessing."""

import sys

import keras
import tensorflow as tf

from model.backbones.base import Backbone, KerasNetwork, compile_forward, pool_cells
from model.backbones.spec import BackboneSpec
from model.backbones.weights import build_with_weights, digest_weights
from model.precision import precision
from schemas.errors import ConfigurationError

NETWORKS = ("keras",)
USAGE = "keras:NAME (of keras.applications)"


def load(spec: BackboneSpec) -> Backbone:
    """Load a network without its classifier; its last feature map is pooled."""
    build = getattr(keras.applications, spec.rest, None) if spec.rest[:1].isupper() else None
    if build is None:
        known = ", ".join(name for name in dir(keras.applications) if name[0].isupper())
        raise ConfigurationError(f"keras.applications has no network {spec.rest!r}; it has {known}.")
    # Only the network with its classifier has a default input size.
    size = spec.input_size or int(build(weights=None).input_shape[1])
    with precision(spec.precision):
        model = build_with_weights(
            spec,
            lambda weights: build(include_top=False, weights=weights, input_shape=(size, size, 3)),
        )
        encoder = keras.Model(model.input, pool_cells(model.output, spec.grid))
    module = sys.modules[build.__module__]
    network = KerasNetwork(encoder, lambda images: module.preprocess_input(tf.cast(images, tf.float32)), model)
    return Backbone(
        features=compile_forward(spec, network.forward),
        input_size=size,
        dimension=int(encoder.output_shape[-1]),
        preprocessing=f"RGB, 0..255, then preprocess_input of Keras's {build.__module__.rpartition('.')[2]}",
        weights_digest=digest_weights(model),
        build_network=lambda: network,
    )
