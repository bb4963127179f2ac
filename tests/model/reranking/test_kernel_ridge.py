"""Kernel-ridge consensus against its formula, written with loops, and its approximation against the exact solution."""

import numpy as np
import pytest

from model.reranking.kernel_ridge import KernelRidge, utilities
from schemas.errors import ConfigurationError


def naive_weights(train, target, gamma, regularization):
    """Weights of the training images for one image, entry by entry."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)

    def kernel(a, b):
        a, b = (a - mean) / deviation, (b - mean) / deviation
        return np.exp(gamma * (a @ b / np.sqrt((a @ a) * (b @ b)) - 1))

    matrix = np.array([[kernel(a, b) for b in train] for a in train])
    return np.linalg.solve(matrix + regularization * np.eye(len(train)), np.array([kernel(a, target) for a in train]))


@pytest.mark.parametrize(("gamma", "regularization"), [(1.0, 1.0), (4.0, 0.5)])
def test_weights_follow_the_formula(gamma, regularization):
    random = np.random.default_rng(0)
    train, targets = random.normal(size=(20, 5)).astype(np.float32), random.normal(size=(3, 5)).astype(np.float32)
    weights = KernelRidge(train, gamma, regularization).weights(targets)
    for target, row in zip(targets, weights, strict=True):
        np.testing.assert_allclose(row, naive_weights(train, target, gamma, regularization), atol=1e-4)


def test_weights_prefer_the_same_image_and_share_among_duplicates():
    random = np.random.default_rng(1)
    train = random.normal(size=(30, 8)).astype(np.float32)
    train[1] = train[0]
    weights = KernelRidge(train, gamma=4.0, regularization=0.1).weights(train[:3])
    assert weights[2].argmax() == 2
    assert weights[0, 0] == pytest.approx(weights[0, 1], abs=1e-5)
    assert weights[0, 0] < weights[2, 2]


def test_constant_features_and_zero_rows_have_finite_weights():
    train = np.zeros((4, 3), np.float32)
    train[:, 0] = [1, 2, 3, 4]
    assert np.isfinite(KernelRidge(train).weights(np.zeros((1, 3), np.float32))).all()


def test_nystroem_with_all_landmarks_is_exact_and_with_fewer_near():
    random = np.random.default_rng(2)
    centers = random.normal(size=(6, 10))
    train = (centers[random.integers(6, size=300)] + 0.1 * random.normal(size=(300, 10))).astype(np.float32)
    targets = (centers + 0.1 * random.normal(size=centers.shape)).astype(np.float32)
    values = random.normal(size=300)
    exact = KernelRidge(train, 2.0, 1.0).weights(targets) @ values
    near = KernelRidge(train, 2.0, 1.0, landmarks=100).weights(targets) @ values
    assert np.corrcoef(exact, near)[0, 1] > 0.99


@pytest.mark.parametrize("setting", [{"gamma": 0.0}, {"regularization": -1.0}, {"gamma": float("nan")}])
def test_settings_that_are_not_positive_are_refused(setting):
    with pytest.raises(ConfigurationError, match="must be above 0"):
        KernelRidge(np.ones((2, 2), np.float32), **setting)


def test_utilities_average_over_an_images_captions():
    # Two images with two and one captions; weights 1 and 10: (0.2 + 0.4) / 2 + 10 x 0.1 and (1 + 0) / 2 + 10 x 0.
    similarity = np.array([[0.2, 0.4, 0.1], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(utilities(similarity, np.array([0, 2]), np.array([1, 10], np.float32)), [1.3, 0.5])
