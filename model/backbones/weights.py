"""Weights of Keras networks: published ones, a file's, or those of a seed."""

import hashlib
from collections.abc import Callable

import keras
import numpy as np

from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError, InputError, MRNNError
from schemas.text import reason


def build_with_weights(spec: BackboneSpec, build: Callable[[str | None], keras.Model]) -> keras.Model:
    """The network with its weights; `build` makes it, given `"imagenet"` for published weights and None for none.

    Raises:
        ConfigurationError: `spec.weights` names a seed that is none.
        InputError: the weights cannot be had, cannot be read, or do not fit.
    """
    if spec.weights == "imagenet":
        try:
            return build("imagenet")
        except MRNNError:
            raise
        except Exception as error:  # a download that fails is a plain Exception in Keras
            raise InputError(
                f"The ImageNet weights of {spec.name} cannot be had for that size of input ({reason(error)}); they "
                "need a network connection, and mostly an input of 224: else set weights to a file or to random:SEED."
            ) from error
    try:
        model = build(None)
    except ValueError as error:  # by Keras, of an input that is too small
        raise ConfigurationError(f"{spec.name} cannot be built ({reason(error, 300)}); change input_size.") from error
    kind, _, seed = spec.weights.partition(":")
    if kind == "random":
        if not seed.isdecimal():
            raise ConfigurationError(f"The weights {spec.weights!r} have no seed; set them to random:0, for example.")
        _draw_weights(model, int(seed))
        return model
    try:
        model.load_weights(spec.weights)
    except (OSError, ValueError) as error:
        raise InputError(f"{spec.weights} cannot be used as weights of {spec.name} ({reason(error, 300)}).") from error
    return model


def digest_weights(model: keras.Model) -> str:
    """SHA-256 over all weights in Keras's order."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def _draw_weights(model: keras.Model, seed: int) -> None:
    """Random weights that keep the size of activations from layer to layer (He et al. 2015), biases zero."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if len(shape) > 1:
            depthwise = "depthwise" in variable.path  # such a kernel (h, w, channels, 1) sees one channel at a time
            deviation = np.sqrt(2.0 / np.prod(shape[: 2 if depthwise else -1]))
            variable.assign(deviation * random.standard_normal(shape, np.float32))
