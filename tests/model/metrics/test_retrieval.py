"""Likelihoods of all pairs against scoring each, normalization, and recalls by hand."""

import numpy as np
import pytest

from model.metrics import retrieval
from model.metrics.retrieval import image_ranks, likely_pairs, log_likelihoods, log_prior, recall, sentence_ranks
from model.mrnn.variants import VARIANTS
from schemas.errors import ArtifactError
from schemas.scores import Recall
from schemas.vocabulary import BOS

SENTENCES = [[3, 4, 5], [3, 4, 5], [3, 4], [3, 6, 6, 1], [6], [], [4, 3], [6, 6], [3], [4, 4, 5, 5, 5]]
FEATURES = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("variant", "rows"), [("mrnn", 1), ("mrnn", 2), ("mrnn", 5), *((variant, 4096) for variant in VARIANTS)]
)
def test_likelihoods_are_those_of_every_pair_by_itself(monkeypatch, make_network, variant, rows):
    monkeypatch.setattr(retrieval, "ROWS", rows)
    network = make_network(variant=variant)
    expected = np.empty((len(SENTENCES), len(FEATURES)))
    for number, sentence in enumerate(SENTENCES):
        tokens = np.array([[BOS, *sentence]] * len(FEATURES), np.int32)
        logits = network(tokens, FEATURES).numpy().astype(np.float64)
        log_probs = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
        expected[number] = sum(log_probs[:, step, word] for step, word in enumerate([*sentence, BOS]))
    sentences = [np.array(sentence, np.int32) for sentence in SENTENCES]
    np.testing.assert_allclose(log_likelihoods(network, sentences, FEATURES), expected, atol=1e-4)


def test_retrieval_is_independent_of_the_order(make_network):
    network = make_network()
    sentences = [np.array(sentence, np.int32) for sentence in SENTENCES]
    order = np.random.default_rng(1).permutation(len(sentences))
    shuffled = log_likelihoods(network, [sentences[index] for index in order], FEATURES)
    np.testing.assert_allclose(shuffled, log_likelihoods(network, sentences, FEATURES)[order], atol=1e-5)


@pytest.mark.parametrize("rows", [2, 4096])
@pytest.mark.parametrize("variant", ["mrnn", "vis-in-rnn"])
def test_likelihoods_of_chosen_pairs_equal_those_of_all(monkeypatch, make_network, variant, rows):
    monkeypatch.setattr(retrieval, "ROWS", rows)
    network = make_network(variant=variant)
    sentences = [np.array(sentence, np.int32) for sentence in SENTENCES]
    pairs = np.random.default_rng(0).random((len(SENTENCES), len(FEATURES))) < 0.4
    pairs[:, 1] = False  # nothing is left to compute for this image
    found = log_likelihoods(network, sentences, FEATURES, pairs=pairs)
    np.testing.assert_allclose(found[pairs], log_likelihoods(network, sentences, FEATURES)[pairs], atol=1e-5)
    assert (found[~pairs] == -np.inf).all()


def test_likely_pairs_are_the_best_of_each_query_and_the_own_ones():
    random = np.random.default_rng(0)
    likelihoods, owner = random.normal(size=(20, 10)), np.repeat(np.arange(10), 2)
    pairs = likely_pairs(likelihoods, np.eye(10), owner, candidates=4)  # the regression is exact
    scores = likelihoods - log_prior(likelihoods)[:, None]
    expected = owner[:, None] == np.arange(10)
    for image in range(10):
        expected[np.argsort(-scores[:, image])[:4], image] = True
    for sentence in range(20):
        expected[sentence, np.argsort(-likelihoods[sentence])[:2]] = True
    np.testing.assert_array_equal(pairs, expected)


def test_likely_pairs_are_all_if_that_many_are_wanted():
    assert likely_pairs(np.zeros((6, 2)), np.ones((3, 2)), np.repeat([0, 1, 2], 2), candidates=100).all()


def test_non_finite_probabilities_are_an_error(make_network):
    network = make_network()
    network.softmax.bias.assign(np.full(network.softmax.bias.shape, np.nan))
    with pytest.raises(ArtifactError, match="not finite"):
        log_likelihoods(network, [np.array([3, 4], np.int32)], FEATURES)


def test_progress_runs_to_one(make_network):
    done = []
    log_likelihoods(make_network(), [np.array([3])], FEATURES[:2], progress=done.append)
    assert done == [0.5, 1.0]


def test_retrieval_keeps_computed_likelihoods(make_network):
    sentences = [np.array(sentence, np.int32) for sentence in SENTENCES]
    expected = log_likelihoods(make_network(), sentences, FEATURES)
    partial, done = np.zeros_like(expected), []
    partial[:, 1] = -7.0  # of a run before
    partial[:4, 2] = expected[:4, 2]  # a run was stopped in the middle of this one
    log_likelihoods(make_network(), sentences, FEATURES, partial, done.append)
    np.testing.assert_array_equal(partial[:, [0, 2]], expected[:, [0, 2]])
    assert (partial[:, 1] == -7.0).all()
    assert done == [pytest.approx(2 / 3), 1.0]


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
