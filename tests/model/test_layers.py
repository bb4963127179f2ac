"""The layers of the m-RNN against the paper's equations, written out in NumPy."""

import keras
import numpy as np
import pytest

from model.layers import AdditiveRecurrentCell, FeatureScaling, MultimodalLayer, scaled_tanh

RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def test_scaled_tanh_at_known_points():
    x = np.array([-1.5, 0.0, 1.5, 1e9], np.float32)
    expected = [-1.7159 * np.tanh(1.0), 0.0, 1.7159 * np.tanh(1.0), 1.7159]
    np.testing.assert_allclose(scaled_tanh(x), expected, rtol=1e-6)
    assert abs(float(scaled_tanh(np.float32(1.0))) - 1.0) < 1e-4  # why LeCun chose these numbers


def test_scaling_is_the_identity_until_adapted():
    features = normal(3, 4)
    np.testing.assert_array_equal(FeatureScaling()(features), features)


def test_scaling_takes_the_mean_away_and_divides_by_the_deviation():
    scaling = FeatureScaling()
    scaling.build((None, 2))
    scaling.adapt(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    np.testing.assert_allclose(scaling(np.array([[3.0, 2.0], [1.0, -2.0]])), [[1.0, 0.0], [0.0, -1.0]])


def test_a_column_that_never_varies_is_not_blown_up():
    scaling = FeatureScaling()
    scaling.build((None, 2))
    scaling.adapt(np.array([5.0, 0.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(scaling(np.array([[5.0, 1.0], [6.0, 1.0]])), [[0.0, 1.0], [1.0, 1.0]])


def test_scaling_learns_nothing():
    scaling = FeatureScaling()
    scaling.build((None, 2))
    assert scaling.trainable_variables == []


def test_the_recurrent_cell_adds_the_word_to_the_mapped_state():
    cell = AdditiveRecurrentCell(2)
    cell.build((None, 2))
    cell.kernel.assign([[1.0, 2.0], [3.0, 4.0]])
    cell.bias.assign([0.5, -20.0])
    output, (state,) = cell(np.array([[10.0, 1.0]], np.float32), [np.array([[1.0, 2.0]], np.float32)])
    np.testing.assert_allclose(output, [[1.0 + 6.0 + 10.0 + 0.5, 0.0]])  # the second unit is below zero
    np.testing.assert_array_equal(output, state)


def test_the_cell_over_time_is_a_loop_from_a_zero_state():
    cell = AdditiveRecurrentCell(3)
    cell.build((None, 3))
    cell.bias.assign(normal(3))
    words = normal(2, 5, 3)
    outputs = np.asarray(keras.layers.RNN(cell, return_sequences=True)(words))
    state = np.zeros((2, 3))
    for step in range(5):
        state = np.maximum(0.0, state @ cell.kernel.numpy() + words[:, step] + cell.bias.numpy())
        np.testing.assert_allclose(outputs[:, step], state, atol=1e-5)


def test_a_new_cell_keeps_the_length_of_states():
    cell = AdditiveRecurrentCell(4)
    cell.build((None, 4))
    kernel = cell.kernel.numpy()
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(4), atol=1e-5)


def test_word_recurrent_layer_and_image_are_added_in_the_multimodal_layer():
    layer = MultimodalLayer(4)
    layer.build((None, 2), (None, 3), (None, 5))
    for variable in layer.variables:
        variable.assign(normal(*variable.shape))
    words, recurrent, features = normal(6, 7, 2), normal(6, 7, 3), normal(6, 5)
    joint = layer(words, recurrent, layer.project_image(features)[:, None, :])

    v_w, v_r, v_i = (part.kernel.numpy() for part in (layer.from_word, layer.from_recurrent, layer.from_image))
    total = words @ v_w + recurrent @ v_r + (features @ v_i)[:, None, :] + layer.from_word.bias.numpy()
    np.testing.assert_allclose(joint, 1.7159 * np.tanh(2.0 / 3.0 * total), atol=1e-5)


@pytest.mark.parametrize("layer", [AdditiveRecurrentCell(3, name="cell"), MultimodalLayer(3, name="joint")])
def test_layers_are_rebuilt_from_their_configuration(layer):
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config
    assert config["units"] == 3
