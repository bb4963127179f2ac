"""PyTorch's legacy weights files: read without PyTorch, and without running anything."""

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schemas.errors import InputError
from schemas.interop.torch_weights import read_torch_weights
from tests.support.torch_files import SYSTEM, Tensor, write_torch_file, write_torch_weights

DATA = np.arange(24, dtype=np.float32)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20),
        hnp.arrays(
            st.sampled_from(["<f4", "<f8", "<f2", "<i8", "|u1"]),
            hnp.array_shapes(min_dims=0, min_side=1),
            fill=st.just(1),
        ),
        max_size=4,
    )
)
def test_read_torch_weights_returns_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray]
) -> None:
    path = tmp_path_factory.mktemp("weights") / "w.pth"
    write_torch_weights(path, arrays)
    found = read_torch_weights(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_tensors_are_views_of_shared_storages(tmp_path: Path) -> None:
    tensors = {"transposed": Tensor("7", 0, (3, 2), (1, 3)), "part": Tensor("7", 20, (4,), (1,))}
    write_torch_file(tmp_path / "w.pth", tensors, {"7": DATA})
    found = read_torch_weights(tmp_path / "w.pth")
    np.testing.assert_array_equal(found["transposed"], DATA[:6].reshape(2, 3).T)
    np.testing.assert_array_equal(found["part"], [20, 21, 22, 23])
    assert not found["part"].flags.writeable


class RunsCommand:
    """Content of an attacker's pickle."""

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("place", ["magic", "system", "tensor"])
@pytest.mark.parametrize("function", [os.system, eval, __import__, getattr])
def test_malicious_file_is_refused_and_runs_nothing(tmp_path: Path, place: str, function: Callable[..., Any]) -> None:
    mark = tmp_path / "mark"
    attack = RunsCommand(function, f"touch {mark}" if function is os.system else f"open({str(mark)!r}, 'w')")
    path = tmp_path / "w.pth"
    if place == "tensor":
        write_torch_file(path, {"a": attack}, {})
    else:
        write_torch_file(path, {"a": Tensor("7", 0, (2,), (1,))}, {"7": DATA}, **{place: attack})
    with pytest.raises(InputError, match=r"w\.pth asks for .*may be an attack"):
        read_torch_weights(path)
    assert not mark.exists()


def test_attributes_of_the_reader_cannot_be_set(tmp_path: Path) -> None:
    """`BUILD` sets attributes of the object on the stack, here of the function that makes tensors."""
    path = tmp_path / "w.pth"
    poison = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(N}X\x0c\x00\x00\x00__defaults__(K\x01tstb."
    path.write_bytes(poison)
    with pytest.raises(InputError, match=r"w\.pth"):
        read_torch_weights(path)
    write_torch_file(path, {"a": Tensor("7", 0, (2,), (1,))}, {"7": DATA})
    np.testing.assert_array_equal(read_torch_weights(path)["a"], [0, 1])


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor("7", 0, (25,), (1,)),
        Tensor("7", 20, (5,), (1,)),
        Tensor("7", 0, (2, 2), (1, 1000)),
        Tensor("7", 0, (2,), (-1,)),
        Tensor("7", -1, (2,), (1,)),
        Tensor("7", 0, (-1,), (1,)),
        Tensor("7", 0, (2, 2), (1,)),
        Tensor("7", 0, (1 << 62,), (0,)),
        Tensor("7", 0, ("a",), (1,)),  # type: ignore[arg-type]
    ],
    ids=range(9),
)
def test_tensors_beyond_their_storage_are_refused(tmp_path: Path, tensor: Tensor) -> None:
    write_torch_file(tmp_path / "w.pth", {"a": tensor}, {"7": DATA})
    with pytest.raises(InputError, match=r"w\.pth is damaged"):
        read_torch_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("header", [{"magic": 1}, {"protocol": 1002}, {"system": {**SYSTEM, "little_endian": False}}])
def test_other_formats_are_refused(tmp_path: Path, header: dict[str, Any]) -> None:
    write_torch_file(tmp_path / "w.pth", {"a": Tensor("7", 0, (2,), (1,))}, {"7": DATA}, **header)
    with pytest.raises(InputError, match="not PyTorch's legacy format"):
        read_torch_weights(tmp_path / "w.pth")


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    write_torch_weights(path, {"a": DATA.reshape(4, 6), "b": DATA[:3]})
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"w\.pth is damaged"):
            read_torch_weights(path)


def test_element_count_must_match_the_storage(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    write_torch_weights(path, {"a": DATA})
    content = path.read_bytes()
    count = struct.pack("<q", 24)
    for wrong in (23, 25, -1, 1 << 62):
        path.write_bytes(content.replace(count, struct.pack("<q", wrong)))
        with pytest.raises(InputError, match=r"w\.pth is damaged"):
            read_torch_weights(path)


@pytest.mark.parametrize("value", [[1, 2], {"a": 3}, {"a": {}}, pickle.dumps])
def test_other_pickle_is_refused(tmp_path: Path, value: Any) -> None:
    write_torch_file(tmp_path / "w.pth", {"a": value}, {"7": DATA})
    with pytest.raises(InputError, match=r"w\.pth"):
        read_torch_weights(tmp_path / "w.pth")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"w\.pth cannot be opened"):
        read_torch_weights(tmp_path / "w.pth")
