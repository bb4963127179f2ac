"""Writer of PyTorch's legacy weights files, for tests: the format's own description, without PyTorch."""

import io
import pickle
import struct
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 8}}
STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage", "u1": "ByteStorage"}


class Tensor:
    """A tensor as PyTorch pickles it: a view, strides counted in elements, of one of the file's storages."""

    def __init__(self, storage: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        storage, *rest = self.arguments
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (StorageReference(storage), *rest)


class StorageReference(str):
    """The key of a storage, pickled as a persistent id."""


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, storages: Mapping[str, np.ndarray]):
        super().__init__(file, protocol=2)
        self.storages = storages

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, StorageReference):
            return None
        data = self.storages[value]
        kind = getattr(sys.modules["torch"], STORAGES[data.dtype.str[1:]])
        return ("storage", kind, str(value), "cpu", data.size, None)


def write_torch_file(path: Path, tensors: Mapping[str, Any], storages: Mapping[str, np.ndarray], **header: Any) -> None:
    """Write tensors that are views of flat `storages`; `header` replaces values of the first three pickles."""
    values = {"magic": MAGIC, "protocol": PROTOCOL, "system": SYSTEM, **header}
    stream = io.BytesIO()
    with patch.dict(sys.modules, _imitate_torch()):
        for value in (*values.values(), OrderedDict(tensors), list(storages)):
            _Pickler(stream, storages).dump(value)
    for data in storages.values():
        stream.write(struct.pack("<q", data.size) + data.tobytes())
    path.write_bytes(stream.getvalue())


def write_torch_weights(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a state dictionary, each array in a storage of its own."""
    storages = {f"9{number}": array.ravel() for number, array in enumerate(arrays.values())}
    tensors = {
        name: Tensor(key, 0, array.shape, tuple(stride // array.itemsize for stride in array.strides))
        for (name, array), key in zip(arrays.items(), storages, strict=True)
    }
    write_torch_file(path, tensors, storages)


def _imitate_torch() -> dict[str, ModuleType]:
    """Modules with the global names that a pickle of PyTorch has."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None:
        raise AssertionError("only its name is pickled")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils.__dict__["_rebuild_tensor_v2"] = _rebuild_tensor_v2
    return {"torch": torch, "torch._utils": utils}
