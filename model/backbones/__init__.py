"""Backbones: one module per family, with the names of its `NETWORKS`, its `USAGE` in a configuration and `load`."""

import importlib
from functools import cache
from typing import TYPE_CHECKING

from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from model.backbones.base import Backbone  # imports TensorFlow, which a process that only plans does not need

FAMILIES = ("efficientnet_lite", "vgg", "alexnet", "applications", "hub", "concat")


@cache
def load_backbone(spec: BackboneSpec) -> "Backbone":
    """Load a backbone, once per process.

    Raises:
        ConfigurationError: There is no such network or layer, or not in that size or precision.
        InputError: The weights cannot be read or do not fit.
    """
    known = []
    for name in FAMILIES:
        family = importlib.import_module(f"{__name__}.{name}")
        if spec.network in family.NETWORKS:
            backbone: Backbone = family.load(spec)
            return backbone
        known.append(family.USAGE)
    raise ConfigurationError(f"There is no backbone {spec.name!r}; set it to one of {', '.join(sorted(known))}.")
