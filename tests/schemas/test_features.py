"""The feature file: rows by image, checked when written and when read."""

import h5py
import numpy as np
import pytest

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

DESCRIPTION = FeatureDescription("vgg16/fc2", "BGR", "0123", "tiny")
IDS = ["b", "a", "é"]
ROWS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


@pytest.fixture
def path(tmp_path):
    write_features(tmp_path / "features.h5", IDS, ROWS, DESCRIPTION)
    return tmp_path / "features.h5"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_was_written_comes_back(tmp_path, dtype):
    write_features(tmp_path / "features.h5", IDS, ROWS.astype(dtype), DESCRIPTION)
    with FeatureFile(tmp_path / "features.h5") as features:
        assert features.image_ids == IDS
        assert features.description == DESCRIPTION
        assert features.dimension == 2
        assert features.read(IDS).dtype == dtype
        np.testing.assert_array_equal(features.read(IDS), ROWS)


def test_rows_come_in_the_order_asked_for_also_twice(path):
    with FeatureFile(path) as features:
        np.testing.assert_array_equal(features.read(["é", "b", "é"]), ROWS[[2, 0, 2]])
        assert features.read([]).shape == (0, 2)
        assert "a" in features and "c" not in features


def test_many_rows_in_random_order(tmp_path):
    random = np.random.default_rng(0)
    rows = random.standard_normal((10_000, 3)).astype(np.float32)
    ids = [str(number) for number in range(len(rows))]
    write_features(tmp_path / "features.h5", ids, rows, DESCRIPTION)
    asked = random.integers(0, len(rows), 9_000)
    with FeatureFile(tmp_path / "features.h5") as features:
        np.testing.assert_array_equal(features.read([ids[row] for row in asked]), rows[asked])


def test_blocks_run_over_all_rows(path):
    with FeatureFile(path) as features:
        assert [block.tolist() for block in features.blocks(rows=2)] == [ROWS[:2].tolist(), ROWS[2:].tolist()]


def test_rows_can_be_written_piece_by_piece(tmp_path):
    with create_features(tmp_path / "features.h5", IDS, 2, "float32", DESCRIPTION) as dataset:
        dataset[1:] = ROWS[1:]
        dataset[0] = ROWS[0]
    with FeatureFile(tmp_path / "features.h5") as features:
        np.testing.assert_array_equal(features.read(IDS), ROWS)


def test_a_corpus_without_images_is_an_empty_file(tmp_path):
    write_features(tmp_path / "features.h5", [], np.empty((0, 2), np.float32), DESCRIPTION)
    with FeatureFile(tmp_path / "features.h5") as features:
        assert features.image_ids == [] and features.dimension == 2


def test_an_image_without_a_row_is_named(path):
    with FeatureFile(path) as features, pytest.raises(ArtifactError, match=r"of image x \(and 1 more"):
        features.read(["a", "x", "y"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused_by_the_name_of_the_image(tmp_path, value):
    rows = ROWS.copy()
    rows[1, 1] = value
    with pytest.raises(ArtifactError, match="image a "):
        write_features(tmp_path / "features.h5", IDS, rows, DESCRIPTION)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_file_is_an_artifact_error(path):
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="features"):
        FeatureFile(path)


def test_a_row_with_flipped_bits_is_an_artifact_error(path):
    content = path.read_bytes()
    assert content.count(ROWS.tobytes()) == 1
    path.write_bytes(content.replace(ROWS.tobytes(), (ROWS + 1).tobytes()))
    with FeatureFile(path) as features, pytest.raises(ArtifactError, match="features"):
        features.read(IDS)


def test_an_image_with_two_rows_is_an_artifact_error(tmp_path):
    write_features(tmp_path / "features.h5", ["a", "a", "b"], ROWS, DESCRIPTION)
    with pytest.raises(ArtifactError, match="3 rows for 2 images"):
        FeatureFile(tmp_path / "features.h5")


def test_a_file_that_does_not_say_what_its_rows_are_is_an_artifact_error(path):
    with h5py.File(path, "a") as file:
        del file.attrs["preprocessing"]
    with pytest.raises(ArtifactError, match="preprocessing"):
        FeatureFile(path)


def test_rejects_come_back_in_order(tmp_path):
    rejects = [Reject("b", "decode", "the file is empty"), Reject("é", "read", "gone")]
    assert write_rejects(tmp_path, rejects) == 2
    assert read_rejects(tmp_path) == rejects
