"""Ranks from bounds, normalization, and recalls by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.metrics import retrieval
from model.metrics.retrieval import image_ranks, log_prior, pairs_in_question, recall, sentence_ranks
from schemas.scores import Recall


def test_prior_is_the_mean_likelihood():
    of_sampled = np.log([[0.1, 0.3], [0.04, 0.0001]])
    np.testing.assert_allclose(log_prior(of_sampled), np.log([0.2, 0.02005]), atol=1e-12)


def test_prior_is_stable_for_tiny_probabilities():
    np.testing.assert_allclose(log_prior(np.array([[-2000.0, -2000.0]])), [-2000.0])


def test_retrieval_normalizes_by_the_prior():
    likelihoods = np.log([[0.4, 0.5], [0.1, 0.2]])
    owner = np.array([0, 1])
    assert sentence_ranks(likelihoods, np.log([0.5, 0.1]), owner).tolist() == [2.0, 1.0]
    assert sentence_ranks(likelihoods, np.log([1.0, 1.0]), owner).tolist() == [1.0, 2.0]


def test_ranks_of_the_right_image_by_hand():
    # The own image of the three sentences is first, second and third.
    likelihoods = np.array([[9.0, 1.0, 2.0], [5.0, 4.0, 1.0], [3.0, 2.0, 1.0]])
    assert image_ranks(likelihoods, np.array([0, 1, 2])).tolist() == [1.0, 2.0, 3.0]


def test_recall_and_mean_rank_match_hand_computation():
    assert recall([np.array([1.0, 2.0, 6.5, 50.5])]) == Recall(25.0, 50.0, 75.0, 4.25, 15.0)
    folds = [np.array([1.0, 3.0]), np.array([20.0, 40.0])]
    assert recall(folds) == Recall(25.0, 50.0, 50.0, 16.0, 16.0)


@pytest.mark.parametrize("images", [1, 3, 64])
def test_retrieval_counts_the_best_of_five_captions(monkeypatch, images):
    monkeypatch.setattr(retrieval, "IMAGES", images)
    owner = np.repeat(np.arange(4), 5)
    scores = np.zeros((20, 4))
    scores[:, 0] = np.arange(20)  # the best own sentence of image 0 is the fifth, behind 15 others
    scores[:, 1] = -np.arange(20)  # that of image 1 is behind five others
    scores[10, 2] = 1.0  # image 2 has an own sentence in the first place
    scores[[0, 1, 2, 15], 3] = [4.0, 3.0, 2.0, 1.0]  # image 3 in the fourth
    assert sentence_ranks(scores, np.zeros(20), owner).tolist() == [16.0, 6.0, 1.0, 4.0]


@pytest.mark.parametrize("images", [1, 5, 64])
def test_five_sentences_an_image_are_five_queries_for_images(monkeypatch, images):
    monkeypatch.setattr(retrieval, "IMAGES", images)
    likelihoods = np.zeros((10, 12))
    owner = np.repeat([0, 1], 5)
    likelihoods[:5, 0] = 1.0
    likelihoods[5:, 2:8] = 1.0  # six images before the right one, which shares its rank with five others: 7 + 5/2
    assert image_ranks(likelihoods, owner).tolist() == [1.0] * 5 + [9.5] * 5


def test_retrieval_of_a_blind_model_is_at_chance():
    scores, owner = np.zeros((500, 100)), np.repeat(np.arange(100), 5)
    for ranks in (sentence_ranks(scores, np.zeros(500), owner), image_ranks(scores, owner)):
        found = recall([ranks])
        assert found.r10 == 0.0
        assert found.median_rank > 50


@given(seed=st.integers(0, 2**32 - 1), slack=st.sampled_from([0.0, 0.3, 2.0, 50.0]), ties=st.booleans())
def test_ranks_depend_on_the_pairs_in_question_only(seed, slack, ties):
    random = np.random.default_rng(seed)
    exact, owner = random.normal(-8.0, 2.0, (12, 5)), random.permutation(np.arange(12) % 5)
    exact, prior = (np.round(exact) if ties else exact), np.round(random.normal(-8.0, 1.0, 12))
    bounds = exact + slack * random.random(exact.shape)
    pairs = pairs_in_question(bounds, exact[np.arange(12), owner], prior, owner)
    found = np.where(pairs, exact, -np.inf)
    np.testing.assert_array_equal(sentence_ranks(found, prior, owner), sentence_ranks(exact, prior, owner))
    np.testing.assert_array_equal(image_ranks(found, owner), image_ranks(exact, owner))


def test_tight_bounds_leave_few_pairs_in_question():
    exact, owner = np.full((10, 5), -9.0), np.repeat(np.arange(5), 2)
    exact[np.arange(10), owner] = -1.0
    exact[0, 1] = -0.5  # as probable under a wrong image, and the best for it
    pairs = pairs_in_question(exact, exact[np.arange(10), owner], np.zeros(10), owner)
    assert np.argwhere(pairs & (owner[:, None] != np.arange(5))).tolist() == [[0, 1]]
