"""Nearest neighbors against a sort of each row."""

import numpy as np
import pytest

from model.reranking import neighbors
from model.reranking.config import METRICS
from model.reranking.neighbors import nearest
from schemas.errors import ConfigurationError

RANDOM = np.random.default_rng(0)


def plain_distances(targets, references, metric):
    targets, references = targets.astype(np.float64), references.astype(np.float64)
    if metric == "euclidean":
        return np.array([[np.linalg.norm(t - r) for r in references] for t in targets])
    return np.array([[1 - t @ r / (np.linalg.norm(t) * np.linalg.norm(r)) for r in references] for t in targets])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("targets_per_search", "margin"), [(1, 0), (3, 1), (1024, 128)])
def test_nearest_equals_a_full_sort(monkeypatch, metric, dtype, targets_per_search, margin):
    monkeypatch.setattr(neighbors, "TARGETS", targets_per_search)
    monkeypatch.setattr(neighbors, "MARGIN", margin)
    targets, references = (RANDOM.standard_normal((count, 20)).astype(dtype) for count in (40, 90))
    indices, distances = nearest(targets, references, 5, metric)
    expected = plain_distances(targets, references, metric)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :5])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :5], atol=1e-6)
    assert (indices.dtype, distances.dtype) == (np.int32, np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("count", [4, 60])
@pytest.mark.parametrize("margin", [0, 128])
def test_nearest_orders_ties_by_position(monkeypatch, metric, count, margin):
    monkeypatch.setattr(neighbors, "MARGIN", margin)  # 0: most copies are not among the first candidates
    distinct = 10 * RANDOM.standard_normal((9, 250)).astype(np.float32)
    originals = RANDOM.integers(0, 9, 60)
    indices, distances = nearest(distinct, distinct[originals], count, metric)
    for row, (near, far) in enumerate(zip(indices, distances, strict=True)):
        copies = np.flatnonzero(originals == row)[:count]
        np.testing.assert_array_equal(near[: len(copies)], copies)
        np.testing.assert_array_equal(far[: len(copies)], 0.0)
        for first, second in zip(range(count - 1), range(1, count), strict=True):
            assert (far[first], near[first]) < (far[second], near[second])


@pytest.mark.parametrize("metric", METRICS)
def test_nearest_resolves_differences_below_float32(metric):
    references = 1000.0 + RANDOM.standard_normal((500, 8)) * 1e-6  # in float32 all of them are equal
    indices, _ = nearest(references[:5] + 1e-8, references, 3, metric)
    expected = plain_distances(references[:5] + 1e-8, references, metric)
    if metric == "euclidean":
        np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :3])
    assert indices[:, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("metric", METRICS)
def test_nearest_returns_at_most_all_references(metric):
    indices, distances = nearest(RANDOM.standard_normal((2, 3)), RANDOM.standard_normal((4, 3)), 10, metric)
    assert indices.shape == distances.shape == (2, 4)
    assert [sorted(row) for row in indices.tolist()] == [[0, 1, 2, 3]] * 2


def test_cosine_ignores_length_and_accepts_a_zero_vector():
    targets, references = np.array([[3.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 1.0], [-1.0, 0.0], [9.0, 0.0]])
    indices, distances = nearest(targets, references, 3, "cosine")
    assert indices[0].tolist() == [2, 0, 1]
    np.testing.assert_allclose(distances[0], [0.0, 1.0, 2.0], atol=1e-7)
    assert np.isfinite(distances).all()


def test_nearest_reports_progress_up_to_one(monkeypatch):
    monkeypatch.setattr(neighbors, "TARGETS", 2)
    done = []
    nearest(np.eye(5), np.eye(5), 1, "euclidean", done.append)
    assert done == [0.4, 0.8, 1.0]


def test_nearest_refuses_another_metric():
    with pytest.raises(ConfigurationError, match="'manhattan'"):
        nearest(np.eye(2), np.eye(2), 1, "manhattan")
