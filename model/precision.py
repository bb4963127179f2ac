"""In which numbers a network computes: float32, or 16 bits with weights in float32 (Micikevicius et al. 2018)."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from model.backbones.spec import PRECISIONS
from schemas.errors import ConfigurationError


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Keras layers made in the block compute in this one of `PRECISIONS`.

    Raises:
        ConfigurationError: there is no such precision.
    """
    if name not in PRECISIONS:
        raise ConfigurationError(f"There is no precision {name!r}; set it to {', '.join(PRECISIONS)}.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
