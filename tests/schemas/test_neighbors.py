"""The neighbors artifact: written, read back and looked up."""

from dataclasses import replace

import numpy as np
import pytest

from schemas.errors import ArtifactError, ConfigurationError
from schemas.neighbors import Neighbors, read_neighbors, write_neighbors

NEIGHBORS = Neighbors(
    ["t1", "té"],
    ["r1", "té", "r3"],
    np.array([[2, 0], [1, 2]]),
    np.array([[0.5, 1.0], [0.0, 3.0]]),
    kind="refined",
    metric="euclidean",
)


def test_neighbors_come_back_as_written(tmp_path):
    write_neighbors(tmp_path / "neighbors.h5", NEIGHBORS)
    read = read_neighbors(tmp_path / "neighbors.h5")
    assert (read.target_ids, read.reference_ids) == (NEIGHBORS.target_ids, NEIGHBORS.reference_ids)
    assert (read.kind, read.metric) == ("refined", "euclidean")
    assert (read.indices.dtype, read.distances.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(read.indices, NEIGHBORS.indices)
    np.testing.assert_array_equal(read.distances, NEIGHBORS.distances)


def test_nearest_leaves_out_the_image_itself():
    assert NEIGHBORS.nearest("t1") == ["r3", "r1"]
    assert NEIGHBORS.nearest("t1", 1) == ["r3"]
    assert NEIGHBORS.nearest("té") == ["r3"]


def test_nearest_refuses_more_neighbors_than_known():
    with pytest.raises(ConfigurationError, match="2 neighbors are requested and only 1 are known; lower k"):
        NEIGHBORS.nearest("té", 2)


def test_nearest_refuses_an_unknown_image():
    with pytest.raises(ArtifactError, match="Image r1 has no original neighbors"):
        replace(NEIGHBORS, kind="original").nearest("r1")


def test_missing_and_foreign_files_are_artifact_errors(tmp_path):
    (tmp_path / "foreign.h5").write_text("text")
    for name in ("absent.h5", "foreign.h5"):
        with pytest.raises(ArtifactError, match=name):
            read_neighbors(tmp_path / name)
