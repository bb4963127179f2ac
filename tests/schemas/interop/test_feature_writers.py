"""Features in the formats of other projects, read by this project and by their tools."""

import pickletools
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schemas.interop.features import read_feature_file, write_dictionary, write_npy

IDS = ["42", "007", "café"]
ROWS = np.array([[1.5, -2.0], [0.0, 3.0], [4.0, 5.0]], np.float16)
WRITERS = {write_dictionary: "f.npy", write_npy: "f.npy"}
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/", exclude_categories=("C", "Z")), min_size=1)


@given(
    rows=hnp.arrays(
        st.sampled_from([np.float16, np.float32]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-100, 100, width=16),
    ),
    data=st.data(),
)
@settings(max_examples=25, deadline=None)
def test_writers_round_trip(rows: np.ndarray, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    names = (NAMES | st.integers(0, 10**9).map(str)).filter(lambda name: name not in (".", "..") and len(name) < 20)
    ids = data.draw(st.lists(names, min_size=len(rows), max_size=len(rows), unique=True))
    cut = data.draw(st.integers(0, len(rows)))
    for write, name in WRITERS.items():
        path = tmp_path_factory.mktemp("f") / name
        write(path, ids, [block for block in (rows[:cut], rows[cut:]) if len(block)])
        got, blocks = read_feature_file(path)
        order = [ids.index(image_id) for image_id in got]
        assert sorted(order) == list(range(len(ids)))
        np.testing.assert_array_equal(np.concatenate(list(blocks)), rows[order].astype(np.float32))


def test_dictionary_is_indexed_by_number(tmp_path: Path) -> None:
    write_dictionary(tmp_path / "f.npy", IDS, [ROWS])
    found = np.load(tmp_path / "f.npy", allow_pickle=True).item()
    assert list(found) == [42, "007", "café"]
    np.testing.assert_array_equal(found[42], ROWS[0])
    assert found[42].dtype == np.float16


def test_dictionary_is_readable_by_old_numpy_and_python_2(tmp_path: Path) -> None:
    write_dictionary(tmp_path / "f.npy", IDS, [ROWS])
    with open(tmp_path / "f.npy", "rb") as stream:
        np.lib.format.read_magic(stream)
        np.lib.format.read_array_header_1_0(stream)
        opcodes = list(pickletools.genops(stream.read()))
    assert max(opcode.proto for opcode, _, _ in opcodes) <= 2
    names = {argument for opcode, argument, _ in opcodes if opcode.name == "GLOBAL"}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype", "_codecs encode"}


def test_matrix_with_ids(tmp_path: Path) -> None:
    write_npy(tmp_path / "f.npy", IDS, [ROWS[:1], ROWS[1:]])
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy", allow_pickle=False), ROWS)
    assert pq.read_table(tmp_path / "f.parquet").to_pydict() == {"image_id": IDS}


@pytest.mark.parametrize("write", WRITERS)
def test_equal_features_give_equal_bytes(write, tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        write(folder / WRITERS[write], IDS, [ROWS])
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
