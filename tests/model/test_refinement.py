"""Refined features against the formula."""

import numpy as np

from model.refinement import refine_features


def test_refined_features_are_the_scaled_tanh_of_the_projected_image(make_network):
    network = make_network()
    features = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    weights = {variable.path: variable.numpy() for variable in network.variables}
    scaled = (features - weights["scaling/mean"]) / weights["scaling/deviation"]
    expected = 1.7159 * np.tanh(2.0 / 3.0 * scaled @ weights["multimodal/from_image/kernel"])
    blocks = list(refine_features(network, iter([features[:2], features[2:]])))
    assert [block.shape for block in blocks] == [(2, 6), (3, 6)]
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-5)


def test_half_precision_features_give_single_precision(make_network):
    (block,) = refine_features(make_network(), iter([np.ones((1, 4), np.float16)]))
    assert block.dtype == np.float32
