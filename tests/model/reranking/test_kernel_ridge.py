"""Kernel-ridge consensus against its formula, written with loops, and its approximation against the exact solution."""

import numpy as np
import pytest

from model.reranking import kernel_ridge
from model.reranking.kernel_ridge import kernel_ridge_weights
from schemas.errors import ConfigurationError


def naive_weights(train, target, gamma, regularization):
    """Weights of the training images for one image, entry by entry."""
    mean, std = train.mean(axis=0), train.std(axis=0)

    def kernel(a, b):
        a, b = (a - mean) / std, (b - mean) / std
        return np.exp(gamma * (a @ b / np.sqrt((a @ a) * (b @ b)) - 1))

    matrix = np.array([[kernel(a, b) for b in train] for a in train])
    return np.linalg.solve(matrix + regularization * np.eye(len(train)), np.array([kernel(a, target) for a in train]))


@pytest.mark.parametrize(("gamma", "regularization"), [(1.0, 1.0), (4.0, 0.5)])
def test_kernel_ridge_weights_follow_the_formula(gamma, regularization):
    random = np.random.default_rng(0)
    train, targets = random.normal(size=(20, 5)).astype(np.float32), random.normal(size=(3, 5)).astype(np.float32)
    weights = kernel_ridge_weights(train, targets, gamma, regularization)
    for target, row in zip(targets, weights, strict=True):
        np.testing.assert_allclose(row, naive_weights(train, target, gamma, regularization), atol=1e-4)


def test_kernel_ridge_prefers_the_same_image_and_shares_among_duplicates():
    random = np.random.default_rng(1)
    train = random.normal(size=(30, 8)).astype(np.float32)
    train[1] = train[0]
    weights = kernel_ridge_weights(train, train[:3], gamma=4.0, regularization=0.1)
    assert weights[2].argmax() == 2
    assert weights[0, 0] == pytest.approx(weights[0, 1], abs=1e-5)
    assert weights[0, 0] < weights[2, 2]


def test_kernel_ridge_weights_of_constant_features_are_finite():
    train = np.zeros((4, 3), np.float32)
    train[:, 0] = [1, 2, 3, 4]
    assert np.isfinite(kernel_ridge_weights(train, np.zeros((1, 3), np.float32), 1.0, 1.0)).all()


@pytest.fixture
def clusters():
    """Training features around six centers, target features at them, and a value per training image."""
    random = np.random.default_rng(2)
    centers = random.normal(size=(6, 10))
    train = (centers[random.integers(6, size=300)] + 0.1 * random.normal(size=(300, 10))).astype(np.float32)
    targets = (centers + 0.1 * random.normal(size=centers.shape)).astype(np.float32)
    return train, targets, random.normal(size=300)


def test_nystroem_weights_follow_the_formula(clusters, monkeypatch):
    monkeypatch.setattr(kernel_ridge, "_BLOCK_ROWS", 128)
    train, _, _ = clusters
    rows = (train - train.mean(axis=0)) / train.std(axis=0)
    kernel = np.exp(2.0 * (rows @ rows.T / np.outer(*2 * [np.linalg.norm(rows, axis=1)]) - 1.0)).astype(np.float64)
    chosen = np.linspace(0, 299, 40).astype(int)
    low_rank = kernel[:, chosen] @ np.linalg.solve(kernel[np.ix_(chosen, chosen)], kernel[chosen])
    ours = kernel_ridge_weights(train, train[:5], 2.0, 1.0, landmarks=40)
    np.testing.assert_allclose(ours, np.linalg.solve(low_rank + np.eye(300), low_rank)[:, :5].T, atol=2e-4)


def test_nystroem_approaches_the_exact_solution(clusters):
    train, targets, values = clusters
    exact = kernel_ridge_weights(train, targets, 2.0, 1.0) @ values
    errors = [
        np.abs(kernel_ridge_weights(train, targets, 2.0, 1.0, landmarks=count) @ values - exact).max()
        for count in (10, 100, 299)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02 * np.abs(exact).max()


@pytest.mark.parametrize("setting", [{"gamma": 0.0}, {"regularization": -1.0}, {"gamma": float("nan")}])
def test_kernel_ridge_rejects_settings_that_are_not_positive(setting):
    with pytest.raises(ConfigurationError, match="must be above 0"):
        kernel_ridge_weights(*2 * [np.ones((2, 2), np.float32)], **{"gamma": 1.0, "regularization": 1.0, **setting})
