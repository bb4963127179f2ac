"""Weights of Keras networks: published, from a file, or random."""

import hashlib
from collections.abc import Callable, Iterable

import keras
import numpy as np
from numpy.typing import NDArray

from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError, InputError, MRNNError
from schemas.text import reason


def build_with_weights(spec: BackboneSpec, build: Callable[[str | None], keras.Model]) -> keras.Model:
    """Build a network and sets its weights.

    Args:
        spec: Backbone with its weights.
        build: Builds the network, with published weights for `"imagenet"` and without for None.

    Raises:
        ConfigurationError: `spec.weights` is no valid seed, or the input size is too small.
        InputError: The weights cannot be downloaded or read, or do not fit.
    """
    if spec.weights == "imagenet":
        try:
            return build("imagenet")
        except MRNNError:
            raise
        except Exception as error:  # a failed download is a plain Exception in Keras
            raise InputError(
                f"The ImageNet weights of {spec.name} cannot be loaded for that input size ({reason(error)}); they "
                "require a network connection and mostly an input of 224: else set weights to a file or to random:SEED."
            ) from error
    kind, _, seed = spec.weights.partition(":")
    if kind == "random" and not seed.isdecimal():
        raise ConfigurationError(f"The weights {spec.weights!r} have no valid seed; set them to random:0, for example.")
    try:
        model = build(None)
    except ValueError as error:  # by Keras, of an input that is too small
        raise ConfigurationError(f"{spec.name} cannot be built ({reason(error, 300)}); change input_size.") from error
    if kind == "random":
        _draw_weights(model, int(seed))
        return model
    try:
        model.load_weights(spec.weights)
    except (OSError, ValueError) as error:
        raise InputError(f"{spec.weights} cannot be used as weights of {spec.name} ({reason(error, 300)}).") from error
    return model


def digest_weights(model: keras.Model) -> str:
    """Compute the SHA-256 of all weights in the order of Keras."""
    return digest_arrays(weight.numpy() for weight in model.weights)


def digest_arrays(arrays: Iterable[NDArray[np.generic]]) -> str:
    """Compute the SHA-256 of the values of arrays, one array after another."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()


def _draw_weights(model: keras.Model, seed: int) -> None:
    """Draw random weights that preserve the scale of activations (He et al. 2015); biases stay zero."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if len(shape) > 1:
            depthwise = len(shape) == 4 and shape[-1] == 1  # (height, width, channels, 1): sees one channel
            scale = np.sqrt(2.0 / np.prod(shape[: 2 if depthwise else -1]))
            variable.assign(scale * random.standard_normal(shape, np.float32))
