"""Stored neighbors: written and read back."""

import h5py
import numpy as np
import pytest

from schemas.errors import ArtifactError
from schemas.neighbors import Neighbors, read_neighbors, write_neighbors

ORIGIN = {"kind": "refined", "metric": "euclidean", "target_digest": "1", "reference_digest": "2"}
NEIGHBORS = Neighbors(["t1", "té"], ["r1", "r2", "r3"], np.array([[2, 0], [1, 2]]), np.array([[0.5, 1.0], [0.0, 3.0]]))


def test_neighbors_come_back_as_written(tmp_path):
    write_neighbors(tmp_path / "neighbors.h5", NEIGHBORS, **ORIGIN)
    read = read_neighbors(tmp_path / "neighbors.h5")
    assert (read.target_ids, read.reference_ids) == (NEIGHBORS.target_ids, NEIGHBORS.reference_ids)
    assert (read.indices.dtype, read.distances.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(read.indices, NEIGHBORS.indices)
    np.testing.assert_array_equal(read.distances, NEIGHBORS.distances)


def test_the_file_says_what_it_was_computed_from(tmp_path):
    write_neighbors(tmp_path / "neighbors.h5", NEIGHBORS, **ORIGIN)
    with h5py.File(tmp_path / "neighbors.h5") as file:
        assert {name: file.attrs[name] for name in ORIGIN} == ORIGIN
        assert (file.attrs["index"], file.attrs["recall"]) == ("exact", 1.0)
    write_neighbors(tmp_path / "neighbors.h5", NEIGHBORS, **ORIGIN, index="ivf", recall=0.93)
    with h5py.File(tmp_path / "neighbors.h5") as file:
        assert (file.attrs["index"], file.attrs["recall"]) == ("ivf", 0.93)


def test_missing_and_foreign_files_are_artifact_errors(tmp_path):
    (tmp_path / "foreign.h5").write_text("text")
    for name in ("absent.h5", "foreign.h5"):
        with pytest.raises(ArtifactError, match=name):
            read_neighbors(tmp_path / name)
