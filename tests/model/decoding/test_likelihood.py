"""Probabilities of the tokens of a caption."""

import numpy as np
import pytest
import tensorflow as tf

from model.decoding.ensemble import Ensemble
from model.decoding.likelihood import token_log_probs
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from schemas.vocabulary import BOS


@pytest.fixture(scope="module")
def networks() -> list[MRNN]:
    return [MRNN(9, 5, ModelConfig("mrnn", 6, 7, 8), seed) for seed in (0, 1)]


@pytest.mark.parametrize("tokens", [(), (4,), (3, 8, 3, 5)])
def test_token_log_probs_are_those_of_the_complete_caption(networks, tokens):
    features = np.random.default_rng(0).standard_normal(5).astype(np.float32)
    logits = networks[0](tf.constant([[BOS, *tokens]]), tf.constant(features[None]))
    expected = tf.nn.log_softmax(logits[0]).numpy()[range(len(tokens) + 1), [*tokens, BOS]]
    np.testing.assert_allclose(token_log_probs(networks[0], features, tokens), expected, rtol=1e-5, atol=1e-6)


def test_token_log_probs_of_an_ensemble_are_those_of_mean_probabilities(networks):
    features, tokens = np.ones(5, np.float32), (3, 4, 5)
    each = [np.exp(token_log_probs(network, features, tokens)) for network in networks]
    found = token_log_probs(Ensemble(networks), features, tokens)
    np.testing.assert_allclose(np.exp(found), np.mean(each, axis=0), rtol=1e-5)
