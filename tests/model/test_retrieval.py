"""Likelihoods of all pairs against scoring each, normalisation, and recalls by hand."""

import numpy as np
import pytest

from model import retrieval
from model.retrieval import image_recall, log_likelihoods, normalise, sentence_recall
from model.variants import VARIANTS
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


def test_the_order_of_sentences_does_not_matter(make_network):
    network = make_network()
    sentences = [np.array(sentence, np.int32) for sentence in SENTENCES]
    order = np.random.default_rng(1).permutation(len(sentences))
    shuffled = log_likelihoods(network, [sentences[index] for index in order], FEATURES)
    np.testing.assert_allclose(shuffled, log_likelihoods(network, sentences, FEATURES)[order], atol=1e-5)


def test_probabilities_that_are_no_numbers_are_an_error(make_network):
    network = make_network()
    network.softmax.bias.assign(np.full(network.softmax.bias.shape, np.nan))
    with pytest.raises(ArtifactError, match="no numbers"):
        log_likelihoods(network, [np.array([3, 4], np.int32)], FEATURES)


def test_progress_runs_to_one(make_network):
    done = []
    log_likelihoods(make_network(), [np.array([3])], FEATURES[:2], done.append)
    assert done == [0.5, 1.0]


def test_normalisation_divides_by_the_mean_likelihood():
    likelihoods = np.log([[0.2, 0.4], [0.01, 0.02]])
    of_sampled = np.log([[0.1, 0.3], [0.04, 0.0001]])
    expected = np.log([[0.2 / 0.2, 0.4 / 0.2], [0.01 / 0.02005, 0.02 / 0.02005]])
    np.testing.assert_allclose(normalise(likelihoods, of_sampled), expected, atol=1e-12)


def test_normalisation_holds_where_probabilities_are_too_small_for_numbers():
    np.testing.assert_allclose(normalise(np.array([[-2000.0]]), np.array([[-2000.0, -2000.0]])), [[0.0]])


def test_ranks_of_the_right_image_by_hand():
    # The own image of the three sentences is first, second and third.
    likelihoods = np.array([[9.0, 1.0, 2.0], [5.0, 4.0, 1.0], [3.0, 2.0, 1.0]])
    recall = image_recall(likelihoods, np.array([0, 1, 2]))
    assert recall == Recall(pytest.approx(100 / 3), 100.0, 100.0, 2.0)


def test_of_five_own_sentences_the_best_counts():
    owner = np.repeat(np.arange(4), 5)
    scores = np.zeros((20, 4))
    scores[:, 0] = np.arange(20)  # the best own sentence of image 0 is the fifth, behind 15 others
    scores[:, 1] = -np.arange(20)  # that of image 1 is behind five others
    scores[10, 2] = 1.0  # image 2 has an own sentence in the first place
    scores[[0, 1, 2, 15], 3] = [4.0, 3.0, 2.0, 1.0]  # image 3 in the fourth
    assert sentence_recall(scores, owner) == Recall(25.0, 50.0, 75.0, 5.0)


def test_five_sentences_an_image_are_five_queries_for_images():
    likelihoods = np.zeros((10, 12))
    owner = np.repeat([0, 1], 5)
    likelihoods[:5, 0] = 1.0
    likelihoods[5:, 2:8] = 1.0  # six images before the right one, which shares its rank with five others: 7 + 5/2
    assert image_recall(likelihoods, owner) == Recall(50.0, 50.0, 100.0, (1 + 9.5) / 2)


def test_a_model_that_cannot_tell_images_apart_is_at_chance():
    scores, owner = np.zeros((500, 100)), np.repeat(np.arange(100), 5)
    for recall in (sentence_recall(scores, owner), image_recall(scores, owner)):
        assert recall.r10 == 0.0
        assert recall.median_rank > 50
