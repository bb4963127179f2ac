"""Reader of pickled `.npy` files that executes no code of the pickle.

The m-RNN project published features and annotations as NumPy object arrays, which are pickles. The reader admits
NumPy arrays of numbers and text, NumPy scalars and built-in containers; any other name in the pickle is an error before
it is called.
"""

import math
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from schemas.errors import InputError
from schemas.text import reason


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that resolves only the names in `admitted`, to the objects given there."""

    admitted: ClassVar[Mapping[tuple[str, str], Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the admitted object for a global name of the pickle.

        Raises:
            InputError: The name is not admitted.
        """
        if (module, name) not in self.admitted:
            raise InputError(f"asks for {module}.{name}, which plain data do not need")
        return self.admitted[module, name]


@contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """Turn every error of reading a pickle into one sentence that names the file.

    Raises:
        InputError: The pickle contains more than plain data, or it is damaged.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{path} {error}; it may be an attack: get it from a source you trust.") from error
    except Exception as error:  # a corrupted pickle can raise anything
        raise InputError(f"{path} is damaged or cut short ({error!r}); get it again.") from error


def is_object_array(path: Path) -> bool:
    """Return whether a `.npy` file contains pickled objects rather than numbers.

    Raises:
        InputError: The file is missing or not a `.npy` file.
    """
    with _open(path) as stream:
        return _read_header(path, stream)[1].hasobject


def read_object_array(path: Path) -> NDArray[np.object_]:
    """Return the object array in a `.npy` file, also one that Python 2 wrote; its byte strings are read as Latin-1.

    Raises:
        InputError: The file is missing, damaged, not a `.npy` file of objects, or contains more than plain data.
    """
    with _open(path) as stream:
        shape, dtype = _read_header(path, stream)
        if dtype != np.dtype(object):
            raise InputError(f"{path} contains {dtype} and no objects; give the m-RNN project's file.")
        with errors_naming(path):
            content = _PlainUnpickler(stream, encoding="latin1").load()
    if not isinstance(content, np.ndarray) or content.dtype != np.dtype(object) or content.size != math.prod(shape):
        raise InputError(f"{path} lacks the array of shape {shape} that its header declares; get it again.")
    return content.reshape(shape).view(np.ndarray)


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); check the path.") from error


def _read_header(path: Path, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of a `.npy` file, and advance `stream` to the data."""
    try:
        version = npy_format.read_magic(stream)
        # Version 3 is for structured arrays with names beyond Latin-1, which no one publishes features in.
        read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except Exception as error:  # it is Python source, and corrupted source can raise anything
        raise InputError(f"{path} is not a .npy file ({reason(error, 200)}); get it again.") from error
    return shape, dtype


class _PlainType:
    """Replacement of `numpy.dtype` without the flags and fields that a pickle can set.

    With wrong flags, NumPy would interpret bytes of the pickle as object pointers.
    """

    def __init__(self, code: str, *_: object):
        if not isinstance(code, str) or not re.fullmatch(r"[biufSU]\d+|O\d?", code):
            raise InputError(f"asks for the type {code!r}")
        self._code = code[:1] if code.startswith("O") else code
        self._order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = {"<": "<", ">": ">"}.get(state[1], "=")

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._order + self._code)


class _PlainArray(np.ndarray):
    """Replacement of `numpy.ndarray` that a pickle fills."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, plain, is_fortran, content = state
        data = content.encode("latin1") if isinstance(content, str) else content
        dtype = plain.dtype
        # NumPy trusts the pickle that a list of objects is as long as the shape wants.
        if not isinstance(data, list if dtype.hasobject else bytes):
            raise InputError(f"gives an array of the type {dtype} as {type(data).__name__}")
        if len(data) != math.prod(shape) * (1 if dtype.hasobject else dtype.itemsize):
            raise InputError(f"gives an array of the shape {shape} in {len(data)} pieces")
        super().__setstate__((version, shape, dtype, is_fortran, data))


_ARRAY_CLASS = object()  # what `numpy.ndarray` means in a pickle: an argument of `_reconstruct`, never called


def _reconstruct(subtype: object, *_: object) -> NDArray[Any]:
    """Replace NumPy's function: return the empty array that the pickled state then fills."""
    if subtype is not _ARRAY_CLASS:
        raise InputError(f"asks for an array of the class {subtype!r}")
    return _PlainArray((0,))


def _scalar(plain: _PlainType, content: bytes | str) -> Any:
    """Replace NumPy's function: return a number from its bytes."""
    data = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(data, plain.dtype, count=1)[0]


def _frombuffer(data: bytes | bytearray, plain: _PlainType, shape: tuple[int, ...], order: Any) -> NDArray[Any]:
    """Replace NumPy's function, which pickles of protocol 5 call."""
    return np.frombuffer(data, plain.dtype).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    """Replace `codecs.encode`, with which Python 3 represents bytes in the protocols of Python 2."""
    if encoding != "latin1":
        raise InputError(f"asks for the encoding {encoding!r}")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ARRAY_CLASS,
    ("numpy", "dtype"): _PlainType,
    ("_codecs", "encode"): _encode,
}
for _package in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_package}.multiarray", "_reconstruct"] = _reconstruct
    _ADMITTED[f"{_package}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"{_package}.numeric", "_frombuffer"] = _frombuffer
for _module in ("builtins", "__builtin__"):
    for _kind in (dict, list, tuple, set, frozenset, bytes):
        _ADMITTED[_module, _kind.__name__] = _kind


class _PlainUnpickler(RestrictedUnpickler):
    admitted: ClassVar = _ADMITTED
