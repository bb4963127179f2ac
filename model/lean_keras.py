"""Keras without the packages that it imports only because they are installed.

Keras loads Matplotlib and pandas for plots and data frames, SciPy for image transformations, IPython to show plots and
dill for Lambda layers, a third of the time that its import takes. A process that starts for a few images imports this
module before TensorFlow and Keras.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_UNUSED = ("IPython", "dill", "matplotlib", "pandas", "scipy")


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Lets imports of packages that are not loaded yet fail as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is what Python's import system asks for
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _hidden(_UNUSED):
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
