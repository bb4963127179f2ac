"""The features artifact: rows by image, mapped from disk, checked when written and when read."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ArtifactError
from schemas.features import (
    FeatureDescription,
    FeatureFile,
    Reject,
    create_features,
    read_rejects,
    write_features,
    write_rejects,
)
from tests.support.artifacts import shard_features

DESCRIPTION = FeatureDescription("vgg16/fc2", "BGR", "0123", "tiny")
IDS = ["b", "a", "é"]
ROWS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


@pytest.fixture
def path(tmp_path):
    write_features(tmp_path / "features.h5", IDS, ROWS, DESCRIPTION)
    return tmp_path / "features.h5"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_feature_file_returns_what_was_written(tmp_path, dtype):
    write_features(tmp_path / "features.h5", IDS, ROWS.astype(dtype), DESCRIPTION)
    features = FeatureFile(tmp_path / "features.h5")
    assert features.image_ids == IDS
    assert features.description == DESCRIPTION
    assert features.dimension == 2
    assert features.read(IDS).dtype == dtype
    np.testing.assert_array_equal(features.read(IDS), ROWS)
    np.testing.assert_array_equal(features.features, ROWS)


def test_feature_file_returns_rows_in_the_requested_order(path):
    features = FeatureFile(path)
    np.testing.assert_array_equal(features.read(["é", "b", "é"]), ROWS[[2, 0, 2]])
    assert features.read([]).shape == (0, 2)
    assert "a" in features and "c" not in features


def test_feature_file_equals_h5py(tmp_path):
    """The memory map and HDF5's own reader return the same rows."""
    rows = np.random.default_rng(0).standard_normal((1000, 7)).astype(np.float16)
    write_features(tmp_path / "features.h5", [f"{number}é" for number in range(1000)], rows, DESCRIPTION)
    with h5py.File(tmp_path / "features.h5") as file:
        np.testing.assert_array_equal(FeatureFile(tmp_path / "features.h5").features, file["features"][()])


def test_blocks_cover_all_rows(path):
    assert [block.tolist() for block in FeatureFile(path).blocks(rows=2)] == [ROWS[:2].tolist(), ROWS[2:].tolist()]


def test_feature_map_is_read_only(path):
    with pytest.raises(ValueError, match="read-only"):
        FeatureFile(path).features[0, 0] = 1.0


@given(data=st.data(), count=st.integers(1, 40), dimension=st.integers(1, 9))
def test_feature_rows_index_like_the_matrix(tmp_path_factory, data, count, dimension):
    path = tmp_path_factory.mktemp("rows") / "features.h5"
    matrix = np.arange(count * dimension, dtype=np.float32).reshape(count, dimension)
    ids = [str(number) for number in range(count)]
    write_features(path, ids, matrix, DESCRIPTION)
    chosen = data.draw(st.lists(st.integers(0, count - 1)))
    rows, expected = FeatureFile(path).rows([ids[row] for row in chosen]), matrix[chosen]
    assert (rows.shape, rows.dtype, len(rows)) == (expected.shape, expected.dtype, len(expected))
    np.testing.assert_array_equal(rows[:], expected)
    start, step = data.draw(st.integers(0, count)), data.draw(st.integers(1, 3))
    np.testing.assert_array_equal(rows[start::step], expected[start::step])
    if chosen:
        index = np.array(data.draw(st.lists(st.integers(0, len(chosen) - 1))), np.int64)
        np.testing.assert_array_equal(rows[index], expected[index])


def test_features_can_be_written_in_parts(tmp_path):
    with create_features(tmp_path / "features.h5", IDS, 2, "float32", DESCRIPTION) as dataset:
        dataset[1:] = ROWS[1:]
        dataset[0] = ROWS[0]
    np.testing.assert_array_equal(FeatureFile(tmp_path / "features.h5").read(IDS), ROWS)


def test_features_of_no_image_are_an_empty_matrix(tmp_path):
    write_features(tmp_path / "features.h5", [], np.empty((0, 2), np.float32), DESCRIPTION)
    features = FeatureFile(tmp_path / "features.h5")
    assert features.image_ids == [] and features.dimension == 2
    assert features.rows([])[:].shape == (0, 2)


def test_read_names_an_image_without_a_row(path):
    with pytest.raises(ArtifactError, match=r"of image x \(and 1 more"):
        FeatureFile(path).read(["a", "x", "y"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_write_features_refuses_non_finite_values(tmp_path, value):
    rows = ROWS.copy()
    rows[1, 1] = value
    with pytest.raises(ArtifactError, match="image a "):
        write_features(tmp_path / "features.h5", IDS, rows, DESCRIPTION)
    assert list(tmp_path.iterdir()) == []


def test_feature_file_refuses_a_truncated_file(path):
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match=r"features\.h5"):
        FeatureFile(path)


@pytest.mark.parametrize("options", [{"chunks": (1, 2)}, {"compression": "gzip"}])
def test_feature_file_refuses_chunked_features(path, options):
    with h5py.File(path, "r+") as file:
        del file["features"]
        file.create_dataset("features", data=ROWS, **options)
    with pytest.raises(ArtifactError, match="one contiguous matrix"):
        FeatureFile(path)


def test_feature_file_refuses_two_rows_of_one_image(tmp_path):
    write_features(tmp_path / "features.h5", ["a", "a", "b"], ROWS, DESCRIPTION)
    with pytest.raises(ArtifactError, match="3 rows for 2 images"):
        FeatureFile(tmp_path / "features.h5")


def test_feature_file_refuses_a_missing_description(path):
    with h5py.File(path, "a") as file:
        del file.attrs["preprocessing"]
    with pytest.raises(ArtifactError, match="preprocessing"):
        FeatureFile(path)


def test_rejects_come_back_in_order(tmp_path):
    rejects = [Reject("b", "decode", "the file is empty"), Reject("é", "read", "gone")]
    assert write_rejects(tmp_path, rejects) == 2
    assert read_rejects(tmp_path) == rejects


@given(st.data(), st.integers(1, 9), st.integers(1, 11))  # also more files than rows
@settings(max_examples=50)
def test_sharded_artifact_returns_the_rows_of_a_merged_one(tmp_path_factory, data, count, files):
    path = tmp_path_factory.mktemp("features") / "features.h5"
    ids = [f"é{number}" for number in range(count)]
    rows = np.random.default_rng(0).standard_normal((count, 3)).astype(np.float16)
    write_features(path, ids, rows, DESCRIPTION)
    shard_features(path, files)
    features = FeatureFile(path)
    index = np.array(data.draw(st.lists(st.integers(0, count - 1))), np.int64)
    cut = slice(data.draw(st.integers(0, count)), data.draw(st.integers(0, count)))
    assert (features.image_ids, features.dimension, features.features.shape) == (ids, 3, rows.shape)
    np.testing.assert_array_equal(features.features[index], rows[index])
    np.testing.assert_array_equal(features.features[cut], rows[cut])
    np.testing.assert_array_equal(features.rows(ids)[index], rows[index])
    np.testing.assert_array_equal(np.concatenate(list(features.blocks(4))), rows)
    assert "é" not in features and "é0 and more" not in features


def test_sharded_artifact_maps_a_bounded_number_of_files(path, monkeypatch):
    monkeypatch.setattr("schemas.features.MAPPED_SHARDS", 2)
    shard_features(path, 3)
    opened = []
    real = np.memmap
    monkeypatch.setattr(np, "memmap", lambda file, *args: opened.append(file.name) or real(file, *args))
    features = FeatureFile(path)
    for image_id in ("b", "a", "a", "é", "b"):
        features.read([image_id])
    assert opened == ["0.h5", "1.h5", "2.h5", "0.h5"]


def test_damaged_sharded_artifact_is_named(path):
    shard_features(path, 3)
    part = path.parent / "features" / "1.h5"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=rf"^{part} cannot be used .*; run its stage again"):
        FeatureFile(path).read(["a"])
    part.unlink()
    with pytest.raises(ArtifactError, match=rf"^{part} cannot be used .*No such file"):
        FeatureFile(path).read(["a"])
    with h5py.File(path, "r+") as file:
        file["shards"][1] = b"../x"
    with pytest.raises(ArtifactError, match="it is in another directory"):
        FeatureFile(path).read(["a"])
