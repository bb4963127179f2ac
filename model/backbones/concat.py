"""Concatenated features of several backbones, from one pass over the images."""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.backbones.base import Backbone
from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError

NETWORKS = ("concat",)
USAGE = "concat:A+B"


def load(spec: BackboneSpec) -> Backbone:
    """Load the backbones of `concat:A+B`, all with the same weights option, input size, precision and pool.

    Raises:
        ConfigurationError: There are fewer than two, one is a SavedModel, or their input sizes differ.
        InputError: Weights cannot be read or do not fit.
    """
    from model.backbones import load_backbone  # which imports this module by name

    names = spec.rest.split("+")
    if len(names) < 2 or any(name.startswith(("hub:", "concat:")) for name in names):
        raise ConfigurationError(
            f"{spec.name!r} does not name two or more networks other than hub: modules; set backbone to "
            "concat:efficientnet-lite0+efficientnet-lite2, for example."
        )
    parts = [load_backbone(replace(spec, name=name)) for name in names]
    sizes = sorted({part.input_size for part in parts})
    if len(sizes) > 1:
        raise ConfigurationError(f"The networks of {spec.name} have input sizes of {sizes}; set input_size to one.")

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([part.features(images) for part in parts], axis=1)

    return Backbone(
        features=features,
        input_size=sizes[0],
        dimension=sum(part.dimension for part in parts),
        preprocessing="; ".join(part.preprocessing for part in parts),
        weights_digest=hashlib.sha256("".join(part.weights_digest for part in parts).encode()).hexdigest(),
    )
