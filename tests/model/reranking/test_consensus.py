"""The choice by consensus."""

import numpy as np

from model.reranking.consensus import consensus_scores, rerank_order, self_consensus_scores


def test_consensus_uses_the_m_most_similar_references():
    similarity = np.array([[0.1, 0.9, 0.5], [0.6, 0.0, 0.6]])
    np.testing.assert_allclose(consensus_scores(similarity, 1), [0.9, 0.6])
    np.testing.assert_allclose(consensus_scores(similarity, 2), [1.4, 1.2])


def test_consensus_uses_all_of_fewer_than_m_references():
    similarity = np.array([[0.1, 0.9, 0.5], [0.6, 0.0, 0.6]])
    np.testing.assert_allclose(consensus_scores(similarity, 125), [1.5, 1.2])


def test_equal_scores_keep_their_order():
    assert rerank_order(np.array([1.0, 3.0, 2.0, 3.0, 1.0])).tolist() == [1, 3, 2, 0, 4]


def test_self_consensus_is_the_mean_similarity_among_hypotheses():
    similarity = np.array([[1.0, 0.2, 0.0], [0.2, 1.0, 0.6], [0.0, 0.6, 1.0]])
    np.testing.assert_allclose(self_consensus_scores(similarity), [0.4, 0.6, 1.6 / 3])
