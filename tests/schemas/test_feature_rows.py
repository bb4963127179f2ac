"""Rows on disk against the matrix that they stand for."""

import h5py
import numpy as np
import pytest

from schemas.errors import ArtifactError
from schemas.features import FeatureDescription, FeatureRows, write_features

DESCRIPTION = FeatureDescription("vgg16/fc2", "BGR", "0123", "tiny")


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(("count", "dimension"), [(3, 2), (1000, 700), (5, 1)])
def test_rows_are_those_of_the_matrix(tmp_path, dtype, count, dimension):
    random = np.random.default_rng(0)
    matrix = random.standard_normal((count, dimension)).astype(dtype)
    ids = [str(number) for number in range(count)]
    write_features(tmp_path / "features.h5", ids, matrix, DESCRIPTION)
    chosen = random.permutation(count)[: max(2, count // 2)]
    rows, expected = FeatureRows(tmp_path / "features.h5", [ids[row] for row in chosen]), matrix[chosen]
    assert (rows.shape, rows.dtype, len(rows)) == (expected.shape, expected.dtype, len(expected))
    index = random.integers(0, len(chosen), 50)
    np.testing.assert_array_equal(rows[index], expected[index])
    np.testing.assert_array_equal(rows[:], expected)
    np.testing.assert_array_equal(rows[1:100:3], expected[1:100:3])
    assert rows[index[:0]].shape == (0, dimension)


@pytest.fixture
def path(tmp_path):
    write_features(tmp_path / "features.h5", ["a", "b"], np.ones((2, 8), np.float32), DESCRIPTION)
    return tmp_path / "features.h5"


def test_no_images_have_no_rows(path, tmp_path):
    assert FeatureRows(path, [])[:].shape == (0, 8)
    write_features(tmp_path / "empty.h5", [], np.ones((0, 8), np.float32), DESCRIPTION)
    assert FeatureRows(tmp_path / "empty.h5", [])[:].shape == (0, 8)


def test_rows_that_are_in_no_chunks_are_found_too(path):
    """As those of a release, which NumPy alone can read."""
    matrix = np.arange(16, dtype=np.float16).reshape(2, 8)
    with h5py.File(path, "r+") as file:
        del file["features"]
        file.create_dataset("features", data=matrix)
    np.testing.assert_array_equal(FeatureRows(path, ["b", "a"])[:], matrix[::-1])


def test_an_image_without_a_row_is_named(path):
    with pytest.raises(ArtifactError, match="no features of image c"):
        FeatureRows(path, ["a", "c"])


def test_damage_shows_at_once(path):
    content = bytearray(path.read_bytes())
    place = content.find(np.ones(8, np.float32).tobytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        FeatureRows(path, ["a"])


def test_a_file_that_shrinks_meanwhile_is_an_artifact_error(path):
    rows = FeatureRows(path, ["a", "b"])
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(ArtifactError, match="was changed"):
        rows[:]


def test_a_compressed_file_is_refused(path):
    with h5py.File(path, "r+") as file:
        attributes = dict(file["features"].attrs)
        del file["features"]
        made = file.create_dataset("features", data=np.ones((2, 8), np.float32), compression="gzip")
        made.attrs.update(attributes)
    with pytest.raises(ArtifactError, match="compressed"):
        FeatureRows(path, ["a"])
