"""Refined features against the formula."""

import numpy as np
import pytest

from model.mrnn.network import refine_features
from schemas.errors import ConfigurationError


def test_refined_features_are_the_scaled_tanh_of_the_projected_image(make_network):
    network = make_network()
    features = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    weights = {variable.path: variable.numpy() for variable in network.variables}
    scaled = (features - weights["scaling/mean"]) / weights["scaling/std"]
    expected = 1.7159 * np.tanh(2.0 / 3.0 * scaled @ weights["multimodal/from_image/kernel"])
    blocks = list(refine_features(network, iter([features[:2], features[2:]])))
    assert [block.shape for block in blocks] == [(2, 6), (3, 6)]
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-5)


def test_half_precision_features_give_single_precision(make_network):
    (block,) = refine_features(make_network(), iter([np.ones((1, 4), np.float16)]))
    assert block.dtype == np.float32


def dense(weights, name, features):
    return features @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0.0)


def relu(x):
    return np.maximum(0.0, x)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("tf-mrnn", lambda w, v: relu(dense(w, "multimodal/from_image", v))),
        ("tf-mrnn-init-lstm", lambda w, v: relu(dense(w, "image_to_state", v))),
        ("vis-in-rnn", lambda w, v: relu(dense(w, "image_to_cell", v))),
        ("vis-in-rnn-both", lambda w, v: 1.7159 * np.tanh(2.0 / 3.0 * dense(w, "multimodal/from_image", v))),
    ],
)
def test_refined_features_of_variants_match_the_image_layer(make_network, variant, expected):
    network = make_network(variant=variant)
    features = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    weights = {variable.path: variable.numpy() for variable in network.variables}
    scaled = (features - weights["scaling/mean"]) / weights["scaling/std"]
    (refined,) = refine_features(network, iter([features]))
    np.testing.assert_allclose(refined, expected(weights, scaled), atol=1e-5)
    assert refined.shape[1] == network.refined_size


def test_blind_network_has_no_refined_features(make_network):
    network = make_network(variant="blind")
    with pytest.raises(ConfigurationError, match="does not see images"):
        _ = network.refined_size
