"""The image networks, one small module a family. A module states the `NETWORKS` it knows and how to `load` one."""

import importlib
from functools import cache
from typing import TYPE_CHECKING

from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from model.backbones.base import Backbone  # loads TensorFlow, which a planning process does without

FAMILIES = ("efficientnet_lite", "vgg", "alexnet", "applications", "hub")


@cache
def load_backbone(spec: BackboneSpec) -> "Backbone":
    """Loads the network, once a process.

    Raises:
        ConfigurationError: there is no such network or layer, or it cannot be had in that size or precision.
        InputError: the weights cannot be read or do not fit.
    """
    known = []
    for name in FAMILIES:
        family = importlib.import_module(f"{__name__}.{name}")
        if spec.network in family.NETWORKS:
            backbone: Backbone = family.load(spec)
            return backbone
        known.append(family.USAGE)
    raise ConfigurationError(f"There is no backbone {spec.name!r}; set it to one of {', '.join(sorted(known))}.")
