"""Numerical precision: float32, or mixed precision with float32 weights (Micikevicius et al. 2018)."""

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import ConfigurationError

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Set the precision, one of `PRECISIONS`, of Keras layers that are created in the context.

    Raises:
        ConfigurationError: There is no such precision.
    """
    import keras  # not above: the options of stages, which name the precisions, are read without it

    if name not in PRECISIONS:
        raise ConfigurationError(f"precision cannot be {name!r}; choose one of {', '.join(PRECISIONS)}.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
