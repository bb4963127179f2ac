"""TensorFlow and Keras without the modules that a few captions do not need.

Keras loads Matplotlib and pandas for plots and data frames, SciPy for image transformations, IPython to show plots and
dill for Lambda layers, because they are installed. TensorFlow loads the modules behind its whole public interface, such
as those of version 1, of TensorFlow Lite and of feature columns; here each part is loaded when it is first used. Both
take half of the time of the import. A process that starts for a few images imports this module before TensorFlow and
Keras.
"""

import gc
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

_UNUSED = ("IPython", "dill", "matplotlib", "pandas", "scipy")
_LAZY = "tensorflow._api.v2."  # the public interface
_EAGER = "tensorflow._api.v2.distribute"  # its modules import each other in a circle
_ALSO_PACKAGES = ("distribute", "lite")  # parts of the interface with the names of packages


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Make imports of packages that are not loaded yet fail as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is what Python's import system asks for
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class _LazyFinder:
    """Finder of modules whose names begin with `_LAZY`; they are executed at the first access to an attribute."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module, as finders do."""
        if not name.startswith(_LAZY) or name.startswith(_EAGER):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec


@contextmanager
def _quick_imports() -> Iterator[None]:
    """Import modules of `_LAZY` lazily, without garbage collection, because imports leave no garbage."""
    collects = gc.isenabled()
    gc.disable()
    sys.meta_path.insert(0, _LazyFinder)
    try:
        yield
    finally:
        sys.meta_path.remove(_LazyFinder)
        gc.freeze()  # what is loaded stays, so that later collections need not look at it
        if collects:
            gc.enable()


with _hidden(_UNUSED), _quick_imports():
    import keras
    import tensorflow as tf

    for _name in _ALSO_PACKAGES:  # a later first import of the package would hide the part of the interface
        _interface = getattr(tf, _name)
        importlib.import_module(f"tensorflow.{_name}")
        setattr(tf, _name, _interface)

__all__ = ["keras", "tf"]
