"""Likelihoods of all pairs against scoring each, and their upper bounds."""

import numpy as np
import pytest

from model.metrics import pair_likelihoods
from model.metrics.pair_likelihoods import likelihood_bounds, log_likelihoods
from model.mrnn.variants import VARIANTS
from schemas.errors import ArtifactError
from schemas.vocabulary import BOS

SENTENCES = [[3, 4, 5], [3, 4, 5], [3, 4], [3, 6, 6, 1], [6], [], [4, 3], [6, 6], [3], [4, 4, 5, 5, 5]]
FEATURES = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("variant", "rows"), [("mrnn", 1), ("mrnn", 2), ("mrnn", 5), *((variant, 4096) for variant in VARIANTS)]
)
def test_likelihoods_are_those_of_every_pair_by_itself(monkeypatch, make_network, variant, rows):
    monkeypatch.setattr(pair_likelihoods, "ROWS", rows)
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
    monkeypatch.setattr(pair_likelihoods, "ROWS", rows)
    network = make_network(variant=variant)
    sentences = [np.array(sentence, np.int32) for sentence in SENTENCES]
    pairs = np.random.default_rng(0).random((len(SENTENCES), len(FEATURES))) < 0.4
    pairs[:, 1] = False  # nothing is left to compute for this image
    found = log_likelihoods(network, sentences, FEATURES, pairs=pairs)
    np.testing.assert_allclose(found[pairs], log_likelihoods(network, sentences, FEATURES)[pairs], atol=1e-5)
    assert (found[~pairs] == -np.inf).all()


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


@pytest.mark.parametrize("variant", ["mrnn", "mrnn-shared", "tf-mrnn"])
@pytest.mark.parametrize(("shortest", "elements", "block"), [(1, 1, 1), (3, 40, 4), (7, 2**20, 256)])
def test_bounds_are_above_the_likelihoods_of_other_images(
    monkeypatch, make_network, variant, shortest, elements, block
):
    for name, value in (("SHORTEST", shortest), ("ELEMENTS", elements), ("SENTENCES", block)):
        monkeypatch.setattr(pair_likelihoods, name, value)
    network = make_network(variant=variant)
    sentences = [np.array(sentence, np.int32) for sentence in SENTENCES]
    images = np.random.default_rng(2).standard_normal((8, 4)).astype(np.float32)
    expected = log_likelihoods(network, sentences, images)
    found = likelihood_bounds(network, sentences, images[:3], images[3:])
    np.testing.assert_allclose(found[:, :3], expected[:, :3], atol=1e-4)
    assert (found[:, 3:] >= expected[:, 3:] - 1e-4).all()
    if shortest == 7:  # the shortlist is the whole vocabulary
        np.testing.assert_allclose(found[:, 3:], expected[:, 3:], atol=1e-4)
    else:
        assert (found[:, 3:] > expected[:, 3:] + 1e-3).any()


def test_bound_sums_the_shortlist_and_jensens_term_of_other_words(monkeypatch, make_network):
    monkeypatch.setattr(pair_likelihoods, "SHORTEST", 2)
    network = make_network()

    def logits_at_start(image):
        return network(np.array([[BOS]], np.int32), image[None]).numpy()[0, 0].astype(np.float64)

    mean = np.mean([np.exp(z) / np.exp(z).sum() for z in map(logits_at_start, FEATURES[:2])], axis=0)
    listed, others = np.split(np.argsort(-mean), [2])
    q, z = mean[others] / mean[others].sum(), logits_at_start(FEATURES[2])
    normalizer = np.exp(z[listed]).sum() + np.exp((q * (z[others] - np.log(q))).sum())
    found = likelihood_bounds(network, [np.array([], np.int32)], FEATURES[:2], FEATURES[2:])
    assert found[0, 2] == pytest.approx(z[BOS] - np.log(normalizer), abs=1e-4)


def test_interrupted_bounds_resume(monkeypatch, make_network):
    monkeypatch.setattr(pair_likelihoods, "SENTENCES", 4)
    network, done = make_network(), []
    sentences = [np.array(sentence, np.int32) for sentence in SENTENCES]
    whole = likelihood_bounds(network, sentences, FEATURES[:1], FEATURES[1:])
    partial = whole.copy()
    first = sorted(range(len(SENTENCES)), key=lambda index: SENTENCES[index])[:4]
    partial[first] = -7.0  # of a run before
    partial[np.setdiff1d(np.arange(len(SENTENCES)), first)] = 0.0
    likelihood_bounds(network, sentences, FEATURES[:1], FEATURES[1:], partial, done.append)
    assert (partial[first] == -7.0).all()
    np.testing.assert_array_equal(np.delete(partial, first, axis=0), np.delete(whole, first, axis=0))
    assert done == [0.4, 0.8, 1.0]


def test_bounds_that_are_not_finite_are_an_error(make_network):
    network = make_network()
    network.softmax.bias.assign(np.full(network.softmax.bias.shape, np.nan))
    with pytest.raises(ArtifactError, match="not finite"):
        likelihood_bounds(network, [np.array([3, 4], np.int32)], FEATURES[:1], FEATURES[1:])
