"""HDF5 files: atomic, deterministic, and checked when opened."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ArtifactError
from schemas.io.hdf5 import create_hdf5, open_hdf5, read_strings, write_strings

# A fixed-length HDF5 string cannot end with the zero byte that fills it up.
TEXTS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=5), max_size=4)


def write(path, numbers):
    with create_hdf5(path) as file:
        file.attrs["note"] = "text"
        file.create_dataset("group/numbers", data=numbers)
        write_strings(file, "names", ["a", "bé"])


def test_content_comes_back(tmp_path):
    write(tmp_path / "file.h5", np.arange(3))
    with open_hdf5(tmp_path / "file.h5", ("group/numbers", "names")) as file:
        assert file["group/numbers"][()].tolist() == [0, 1, 2]
        assert read_strings(file["names"]) == ["a", "bé"]


def test_equal_content_gives_equal_bytes(tmp_path):
    write(tmp_path / "one.h5", np.arange(3))
    write(tmp_path / "two.h5", np.arange(3))
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_objects_have_no_time_stamps(tmp_path):
    write(tmp_path / "file.h5", np.arange(3))
    times = []
    with h5py.File(tmp_path / "file.h5") as file:
        file.visititems(lambda _, item: times.append(h5py.h5g.get_objinfo(item.id).mtime))
    assert times == [0, 0, 0]


def test_failed_write_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), create_hdf5(tmp_path / "file.h5"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@given(TEXTS)
def test_strings_come_back_as_written(texts):
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        write_strings(file, "texts", texts)
        assert read_strings(file["texts"]) == texts


def test_missing_cut_and_foreign_files_are_named(tmp_path):
    write(tmp_path / "complete.h5", np.arange(1000))
    (tmp_path / "cut.h5").write_bytes((tmp_path / "complete.h5").read_bytes()[:3000])
    (tmp_path / "foreign.h5").write_text("text")
    for name in ("absent.h5", "cut.h5", "foreign.h5"):
        with pytest.raises(ArtifactError, match=name), open_hdf5(tmp_path / name, ()):
            pass


def test_missing_dataset_and_other_schema_version_are_named(tmp_path):
    write(tmp_path / "file.h5", np.arange(3))
    with pytest.raises(ArtifactError, match="'other'"), open_hdf5(tmp_path / "file.h5", ("names", "other")):
        pass
    with h5py.File(tmp_path / "file.h5", "a") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(ArtifactError, match="version 99"), open_hdf5(tmp_path / "file.h5", ("names",)):
        pass
