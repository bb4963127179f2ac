"""Neighbors by an index: exact where all lists are looked at, measured where not, refused without FAISS."""

import sys

import numpy as np
import pytest

from model.reranking import approximate_neighbors as approximate_neighbors
from model.reranking.approximate_neighbors import nearest_by_index
from model.reranking.neighbors import METRICS, nearest
from schemas.errors import ConfigurationError

RANDOM = np.random.default_rng(0)
REFERENCES = RANDOM.standard_normal((800, 12)).astype(np.float16)
TARGETS = RANDOM.standard_normal((40, 12)).astype(np.float16)


@pytest.mark.parametrize("metric", METRICS)
def test_with_every_list_probed_it_is_exact(metric):
    pytest.importorskip("faiss")
    indices, distances, recall = nearest_by_index(TARGETS, REFERENCES, 9, metric, probes=1000)
    expected = nearest(TARGETS, REFERENCES, 9, metric)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_allclose(distances, expected[1], atol=1e-6)
    assert (indices.dtype, distances.dtype, recall) == (np.int32, np.float32, 1.0)


@pytest.mark.parametrize("metric", METRICS)
def test_the_recall_is_the_share_of_exact_neighbors(monkeypatch, metric):
    pytest.importorskip("faiss")
    indices, distances, recall = nearest_by_index(TARGETS, REFERENCES, 9, metric, probes=4)
    exact, exact_distances = nearest(TARGETS, REFERENCES, 9, metric)
    shares = [len({*found} & {*right}) / 9 for found, right in zip(indices.tolist(), exact.tolist(), strict=True)]
    assert recall == pytest.approx(np.mean(shares))
    assert 0.3 < recall < 1.0
    for found, far, right, near in zip(indices, distances, exact, exact_distances, strict=True):
        known = dict(zip(right.tolist(), near.tolist(), strict=True))
        assert list(far) == sorted(far)
        for reference, distance in zip(found.tolist(), far.tolist(), strict=True):
            assert distance == pytest.approx(known.get(reference, distance), abs=1e-6)
    monkeypatch.setattr(approximate_neighbors, "SAMPLE", 3)
    assert nearest_by_index(TARGETS, REFERENCES, 9, metric, probes=4)[2] == pytest.approx(
        np.mean([shares[0], shares[19], shares[39]])
    )


def test_where_the_lists_hold_too_few_all_references_are_looked_at():
    pytest.importorskip("faiss")
    indices, _, recall = nearest_by_index(TARGETS, REFERENCES, 500, "euclidean", probes=1)
    np.testing.assert_array_equal(indices, nearest(TARGETS, REFERENCES, 500, "euclidean")[0])
    assert recall == 1.0


def test_without_faiss_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'm-rnn\[faiss\]'"):
        nearest_by_index(TARGETS, REFERENCES, 3, "euclidean", probes=1)


def test_another_metric_or_no_probes_are_refused():
    pytest.importorskip("faiss")
    for metric, probes in (("manhattan", 1), ("cosine", 0)):
        with pytest.raises(ConfigurationError, match=f"{metric}, {probes} probes"):
            nearest_by_index(TARGETS, REFERENCES, 3, metric, probes)
