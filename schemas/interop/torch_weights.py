"""Reader of PyTorch's legacy weights files (`torch.save` before version 1.6), without PyTorch and without running code.

Such a file is a sequence of pickles followed by raw data:

1. a magic number, the protocol version (1001) and facts about the system that wrote the file,
2. the state dictionary, whose tensors are views of storages: `("storage", type, key, device, length, view)`,
3. the list of storage keys, then for each key an int64 element count and the elements, little-endian.
"""

import io
import struct
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import InputError
from schemas.interop.pickle import RestrictedUnpickler, errors_naming

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ByteStorage": "|u1",
}


class _Storage(NamedTuple):
    """A flat array that tensors are views of: its key in the file, dtype code and number of elements."""

    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides are counted in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _WeightsUnpickler(RestrictedUnpickler):
    admitted: ClassVar = {
        ("collections", "OrderedDict"): OrderedDict,
        **{("torch", name): dtype for name, dtype in _DTYPES.items()},
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new function each time: a pickle can set attributes of what it is given.
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, shape, strides)
        return super().find_class(module, name)

    def persistent_load(self, persistent_id: Any) -> _Storage:
        kind, dtype, key, _device, length, view = persistent_id
        if kind != "storage" or dtype not in _DTYPES.values() or view is not None:
            raise InputError(f"refers to {persistent_id!r:.200}, which is not a plain storage")
        return _Storage(key, dtype, length)


def read_torch_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dictionary.

    Args:
        path: File in PyTorch's legacy format.

    Returns:
        Read-only arrays by parameter name, in the file's order; they are views of the file's content.

    Raises:
        InputError: The file is missing, damaged, in another format, or asks for more than plain data.
    """
    try:
        stream = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); check the path.") from error
    with errors_naming(path):
        magic, protocol, system = (_WeightsUnpickler(stream).load() for _ in range(3))
        if (magic, protocol) != (_MAGIC, _PROTOCOL) or system["little_endian"] is not True:
            raise ValueError("not PyTorch's legacy format")
        tensors, keys = (_WeightsUnpickler(stream).load() for _ in range(2))
        storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        buffers = {key: _read_storage(stream, storages[key]) for key in keys}
        return {name: _view(tensor, buffers[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_storage(stream: IO[bytes], storage: _Storage) -> bytes:
    (length,) = struct.unpack("<q", stream.read(8))
    size = length * np.dtype(storage.dtype).itemsize
    data = stream.read(size) if size >= 0 else b""
    if length != storage.length or len(data) != size:
        raise ValueError(f"storage {storage.key!r} has {len(data)} bytes of {storage.length} elements")
    return data


def _view(tensor: _Tensor, data: bytes) -> NDArray[Any]:
    """Return a view of a tensor's data; NumPy checks that offset, shape and strides stay within `data`."""
    dtype = np.dtype(tensor.storage.dtype)
    strides = [dtype.itemsize * stride for stride in tensor.strides]
    return np.ndarray(tensor.shape, dtype, data, dtype.itemsize * tensor.offset, strides)
