"""The layers of the m-RNN against the equations, written out in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from model.mrnn.initializers import Initializers
from model.mrnn.layers import Dropout, FeatureScaling, MultimodalLayer, TiedSoftmax, scaled_tanh

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


def test_standardization_leaves_constant_columns():
    scaling = FeatureScaling()
    scaling.build((None, 2))
    scaling.adapt(np.array([5.0, 0.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(scaling(np.array([[5.0, 1.0], [6.0, 1.0]])), [[0.0, 1.0], [1.0, 1.0]])


def test_scaling_has_no_trainable_weights():
    scaling = FeatureScaling()
    scaling.build((None, 2))
    assert scaling.trainable_variables == []


def filled(layer, *shapes):
    """The layer, built, with random weights."""
    layer.build(*shapes)
    for variable in layer.variables:
        variable.assign(normal(*variable.shape))
    return layer


@pytest.mark.parametrize("word", [True, False])
@pytest.mark.parametrize("image", [True, False])
def test_multimodal_layer_adds_and_squashes(word, image):
    layer = filled(MultimodalLayer(4, Initializers(0), "scaled_tanh", word, image), (None, 2), (None, 3), (None, 5))
    words, recurrent, features = normal(6, 7, 2), normal(6, 7, 3), normal(6, 5)
    total = recurrent @ layer.from_recurrent.kernel.numpy()
    total = total + (layer.from_word if word else layer.from_recurrent).bias.numpy()
    if word:
        total = total + words @ layer.from_word.kernel.numpy()
    if image:
        total = total + (features @ layer.from_image.kernel.numpy())[:, None, :]
    language = layer.project_language(words, recurrent)
    joint = layer(language, layer.project_image(features)[:, None, :]) if image else layer(language)
    np.testing.assert_allclose(joint, 1.7159 * np.tanh(2.0 / 3.0 * total), atol=1e-5)


def test_that_of_tf_mrnn_rectifies_and_then_adds():
    layer = filled(MultimodalLayer(4, Initializers(0), "relu", word=False), (None, 2), (None, 3), (None, 5))
    recurrent, features = normal(6, 7, 3), normal(6, 5)
    joint = layer(layer.project_language(None, recurrent), layer.project_image(features)[:, None, :])
    kernel_r, bias_r, kernel_i, bias_i = (
        weight.numpy() for part in (layer.from_recurrent, layer.from_image) for weight in (part.kernel, part.bias)
    )
    of_image = np.maximum(0.0, features @ kernel_i + bias_i)[:, None, :]
    np.testing.assert_allclose(joint, np.maximum(0.0, recurrent @ kernel_r + bias_r) + of_image, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "f"),
    [("relu", lambda x: np.maximum(0.0, x)), ("scaled_tanh", lambda x: 1.7159 * np.tanh(2.0 / 3.0 * x))],
)
def test_tied_softmax_uses_the_embedding(activation, f):
    layer = filled(TiedSoftmax(7, 3, activation, Initializers(0)), (None, 4))
    joint, embeddings = normal(2, 5, 4), normal(7, 3)
    kernel, bias = layer.to_embedding.kernel.numpy(), layer.to_embedding.bias.numpy()
    expected = f(joint @ kernel + bias) @ embeddings.T + layer.bias.numpy()
    np.testing.assert_allclose(layer(joint, embeddings), expected, atol=1e-4)


def test_dropout_drops_its_share_and_keeps_the_mean():
    values = np.full((400, 101), 2.0, np.float32)  # not a multiple of four numbers
    for rate, share in ((0.4, 102 / 256), (0.5, 0.5), (0.996, 255 / 256)):
        dropped = np.asarray(Dropout(rate, seed=1)(values, training=True))
        kept = dropped[dropped != 0]
        assert (dropped == 0).mean() == pytest.approx(share, abs=0.01)
        np.testing.assert_allclose(kept, 2.0 / (1.0 - share), rtol=1e-6)


def test_dropout_has_another_mask_at_each_call_in_each_row_and_column():
    layer = Dropout(0.5, seed=1)
    first, second = (np.asarray(layer(np.ones((64, 64), np.float32), training=True)) for _ in range(2))
    again = np.asarray(Dropout(0.5, seed=1)(np.ones((64, 64), np.float32), training=True))
    np.testing.assert_array_equal(first, again)
    assert (first == second).mean() == pytest.approx(0.5, abs=0.05)
    assert len({row.tobytes() for row in first}) == len({column.tobytes() for column in first.T}) == 64


@pytest.mark.parametrize(("rate", "training"), [(0.0, True), (0.001, True), (0.5, False)])
def test_dropout_is_the_identity_without_a_rate_or_training(rate, training):
    values = normal(3, 5)
    np.testing.assert_array_equal(Dropout(rate, seed=1)(values, training=training), values)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dropout_keeps_the_precision_of_its_inputs(dtype):
    values = tf.ones((8, 8), dtype)
    assert Dropout(0.5, seed=1, dtype=dtype)(values, training=True).dtype == values.dtype
