"""Checkpoints: all values are restored, and only to the variables that they were saved from."""

import keras
import numpy as np
import pytest

from model.training.checkpoint import load_state, save_state
from schemas.errors import ArtifactError

RECORD = {"curve": [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 1e-30}], "metrics": {"steps": 3}}


def variables(*values):
    return [keras.Variable(value, dtype=value.dtype, trainable=False) for value in values]


def test_variables_best_weights_and_record_come_back(tmp_path):
    # More than ten variables: their order is that of numbers, not of names.
    values = [np.full((2, 3), number, np.float32) for number in range(11)] + [np.array([7, 1 << 40], np.int64)]
    save_state(tmp_path / "state.h5", variables(*values), [value + 1 for value in values], RECORD)
    targets = variables(*[np.zeros_like(value) for value in values])
    record, best = load_state(tmp_path / "state.h5", targets)
    assert record == RECORD
    for target, of_best, value in zip(targets, best, values, strict=True):
        np.testing.assert_array_equal(target.numpy(), value)
        np.testing.assert_array_equal(of_best, value + 1)


def test_checkpoint_of_equal_state_has_equal_bytes(tmp_path):
    for name in ("one.h5", "two.h5"):
        save_state(tmp_path / name, variables(np.ones(3, np.float32)), [np.ones(3)], RECORD)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


@pytest.mark.parametrize("shapes", [[(2,)], [(3,), (3,)], []])
def test_restore_refuses_other_variables_unchanged(tmp_path, shapes):
    save_state(tmp_path / "state.h5", variables(np.ones(3, np.float32)), [np.ones(3)], RECORD)
    targets = variables(*[np.zeros(shape, np.float32) for shape in shapes])
    with pytest.raises(ArtifactError, match="another network"):
        load_state(tmp_path / "state.h5", targets)
    assert all(not target.numpy().any() for target in targets)


def test_missing_checkpoint_is_an_artifact_error(tmp_path):
    with pytest.raises(ArtifactError, match="absent"):
        load_state(tmp_path / "absent.h5", [])


def test_changed_weights_are_detected(tmp_path):
    path = tmp_path / "state.h5"
    value = np.random.default_rng(0).random((16, 16), np.float32)
    save_state(path, variables(value), [value], RECORD)
    intact, random, noticed = path.read_bytes(), np.random.default_rng(1), 0
    for _ in range(100):
        broken = bytearray(intact)
        broken[random.integers(len(intact))] ^= 1 << random.integers(8)
        path.write_bytes(broken)
        (target,) = variables(np.zeros_like(value))
        try:
            record, best = load_state(path, [target])
        except ArtifactError:
            noticed += 1
        else:  # the bit is in what HDF5 leaves unused
            assert record == RECORD
            np.testing.assert_array_equal(target.numpy(), value)
            np.testing.assert_array_equal(best[0], value)
    assert noticed > 20
