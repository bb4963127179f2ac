"""Ensembles: the mean of the networks' probabilities."""

import numpy as np
import pytest

from model.decoding.beam_search import BeamSearch
from model.decoding.ensemble import Ensemble
from schemas.errors import ConfigurationError
from schemas.vocabulary import BOS

pytestmark = pytest.mark.usefixtures("eagerly")

FEATURES = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)


def probabilities(network, words, image):
    logits = network(np.array([[BOS, *words]]), image[None]).numpy()[0].astype(np.float64)
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.usefixtures("compiled")
def test_log_probabilities_are_those_of_the_mean(make_network):
    networks = [make_network(seed, variant=variant) for seed, variant in enumerate(("mrnn", "tf-mrnn-lstm"))]
    for image, decoded in zip(FEATURES, BeamSearch(Ensemble(networks), 3, max_length=6)(FEATURES), strict=True):
        for hypothesis in decoded:
            mean = np.mean([probabilities(network, hypothesis.tokens, image) for network in networks], axis=0)
            words = [*hypothesis.tokens, BOS][:6]
            expected = np.log(mean[np.arange(len(words)), words]).sum()
            assert hypothesis.log_prob == pytest.approx(expected, abs=1e-4)


def test_ensemble_of_equal_models_decodes_as_the_model(make_network):
    network = make_network(3)
    alone = BeamSearch(network, 4, max_length=6)(FEATURES)
    for networks in ([network], [network, network]):
        for one, other in zip(alone, BeamSearch(Ensemble(networks), 4, max_length=6)(FEATURES), strict=True):
            assert [each.tokens for each in one] == [each.tokens for each in other]
            np.testing.assert_allclose([e.log_prob for e in one], [e.log_prob for e in other], atol=1e-4)


def test_incompatible_networks_are_refused(make_network):
    with pytest.raises(ConfigurationError, match="differ in their vocabulary_size"):
        Ensemble([make_network(), make_network(vocabulary_size=5)])
    with pytest.raises(ConfigurationError, match="needs a network"):
        Ensemble([])
