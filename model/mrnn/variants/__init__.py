"""The published m-RNNs, one module per publication; `docs/explanation/model.md` gives equations and sources.

A module declares its `VARIANTS` by name; names are unique.
"""

import importlib
import pkgutil
from dataclasses import replace
from typing import Any

from model.mrnn.variants.base import Variant
from schemas.errors import ConfigurationError

_MODULES = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
VARIANTS: dict[str, Variant] = {
    name: variant for module in _MODULES for name, variant in getattr(module, "VARIANTS", {}).items()
}


def find_variant(name: str, **given: float | None) -> Variant:
    """Find a variant and override its sizes and dropout.

    Args:
        name: Name in `VARIANTS`.
        given: Fields of `Variant` to override; those that are None stay.

    Raises:
        ConfigurationError: There is no such variant, or its layers do not fit together in these sizes.
    """
    if name not in VARIANTS:
        raise ConfigurationError(f"There is no variant {name!r} of the m-RNN; choose one of {', '.join(VARIANTS)}.")
    changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    variant = replace(VARIANTS[name], **changes)
    if variant.recurrence == "relu" and not variant.two_embeddings and variant.embedding_size != variant.recurrent_size:
        raise ConfigurationError(
            f"In {name} tokens are added to the recurrent state: embedding_size ({variant.embedding_size}) and "
            f"recurrent_size ({variant.recurrent_size}) must be equal."
        )
    if variant.one_image_map and variant.recurrent_size != variant.multimodal_size:
        raise ConfigurationError(
            f"In {name} one matrix projects the image for both layers: recurrent_size ({variant.recurrent_size}) and "
            f"multimodal_size ({variant.multimodal_size}) must be equal."
        )
    if variant.fusion is None and variant.multimodal_size:
        raise ConfigurationError(f"{name} has no multimodal layer; leave multimodal_size out.")
    return variant
