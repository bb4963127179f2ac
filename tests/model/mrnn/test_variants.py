"""Every variant against its own equations in NumPy, its gradient by small differences, and the published sizes."""

import numpy as np
import pytest
import tensorflow as tf

from model.mrnn.config import ModelConfig
from model.mrnn.likelihood import losses_and_logits
from model.mrnn.network import MRNN
from model.mrnn.variants import VARIANTS
from schemas.errors import ConfigurationError
from schemas.vocabulary import BOS, PAD
from tests.support.equations import g2, plain_gru, plain_lstm, plain_relu, relu

TOKENS = np.array([[BOS, 3, 4, 5], [BOS, 6, PAD, PAD], [BOS, 1, 1, 3]], np.int32)
TARGETS = np.array([[3, 4, 5, BOS], [6, BOS, PAD, PAD], [1, 1, 3, BOS]], np.int32)
FEATURES = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)


def weights_of(network):
    return {variable.path: variable.numpy().astype(np.float64) for variable in network.trainable_variables}


def cell_weights(w):
    return {path.removeprefix("recurrent/"): value for path, value in w.items() if path.startswith("recurrent/")}


# One function a variant: weights, word ids so far and v, the standardized image -> the logits of the next word.


def two_embeddings(w, words):
    first = w["embedding_1/embeddings"][words]
    return first, first @ w["embedding_2/kernel"]


def read(w, inputs, plain, states):
    for x in inputs:
        output, states = plain(cell_weights(w), x[None], states)
    return output[0]


def zeros(w, count=1):
    return [np.zeros((1, 5))] * count


def own_softmax(w, m):
    return m @ w["softmax/kernel"] + w["softmax/bias"]


def tied_softmax(w, m, f):
    o = f(m @ w["softmax/to_embedding/kernel"] + w["softmax/to_embedding/bias"])
    return o @ w["embedding_1/embeddings"].T + w["softmax/bias"]


def mrnn(w, words, v):
    _, x = two_embeddings(w, words)
    r = read(w, x, plain_relu, zeros(w))
    total = x[-1] @ w["multimodal/from_word/kernel"] + w["multimodal/from_word/bias"]
    total += r @ w["multimodal/from_recurrent/kernel"] + v @ w["multimodal/from_image/kernel"]
    return own_softmax(w, g2(total))


def no_emb_input(w, words, v):
    _, x = two_embeddings(w, words)
    r = read(w, x, plain_relu, zeros(w))
    total = r @ w["multimodal/from_recurrent/kernel"] + w["multimodal/from_recurrent/bias"]
    return own_softmax(w, g2(total + v @ w["multimodal/from_image/kernel"]))


def one_layer_emb(w, words, v):
    x = w["embedding_1/embeddings"][words]
    r = read(w, x, plain_relu, zeros(w))
    total = x[-1] @ w["multimodal/from_word/kernel"] + w["multimodal/from_word/bias"]
    total += r @ w["multimodal/from_recurrent/kernel"] + v @ w["multimodal/from_image/kernel"]
    return own_softmax(w, g2(total))


def emb_one_input(w, words, v):
    first, x = two_embeddings(w, words)
    r = read(w, x, plain_relu, zeros(w))
    total = first[-1] @ w["multimodal/from_word/kernel"] + w["multimodal/from_word/bias"]
    total += r @ w["multimodal/from_recurrent/kernel"] + v @ w["multimodal/from_image/kernel"]
    return own_softmax(w, g2(total))


def in_recurrent(w, words, into_recurrent, into_multimodal):
    _, x = two_embeddings(w, words)
    r = read(w, x + into_recurrent, plain_relu, zeros(w))
    total = x[-1] @ w["multimodal/from_word/kernel"] + w["multimodal/from_word/bias"]
    return own_softmax(w, g2(total + r @ w["multimodal/from_recurrent/kernel"] + into_multimodal))


def vis_in_rnn(w, words, v):
    return in_recurrent(w, words, v @ w["image_to_cell/kernel"], 0.0)


def vis_in_rnn_both(w, words, v):
    return in_recurrent(w, words, v @ w["image_to_cell/kernel"], v @ w["multimodal/from_image/kernel"])


def vis_in_rnn_both_shared(w, words, v):
    both = v @ w["multimodal/from_image/kernel"]
    return in_recurrent(w, words, both, both)


def blind(w, words, v):
    return in_recurrent(w, words, 0.0, 0.0)


def mrnn_shared(w, words, v):
    x = w["embedding_1/embeddings"][words]
    r = read(w, x @ w["word_to_cell/kernel"], plain_lstm, zeros(w, 2))
    total = x[-1] @ w["multimodal/from_word/kernel"] + w["multimodal/from_word/bias"]
    total += r @ w["multimodal/from_recurrent/kernel"] + v @ w["multimodal/from_image/kernel"]
    return tied_softmax(w, g2(total), g2)


def tf_mrnn(w, words, v, plain=plain_gru, states=1):
    h = read(w, w["embedding_1/embeddings"][words] @ w["word_to_cell/kernel"], plain, zeros(w, states))
    of_words = relu(h @ w["multimodal/from_recurrent/kernel"] + w["multimodal/from_recurrent/bias"])
    of_image = relu(v @ w["multimodal/from_image/kernel"] + w["multimodal/from_image/bias"])
    return tied_softmax(w, of_words + of_image, relu)


def tf_mrnn_init(w, words, v, plain=plain_gru, states=1):
    first = relu(v @ w["image_to_state/kernel"] + w["image_to_state/bias"])
    inputs = w["embedding_1/embeddings"][words] @ w["word_to_cell/kernel"]
    h = read(w, inputs, plain, np.split(first[None], states, axis=1))
    return tied_softmax(w, h, relu)


PLAIN = {
    "mrnn": mrnn,
    "mrnn-2014": mrnn,
    "no-emb-input": no_emb_input,
    "one-layer-emb": one_layer_emb,
    "emb-one-input": emb_one_input,
    "vis-in-rnn": vis_in_rnn,
    "vis-in-rnn-both": vis_in_rnn_both,
    "vis-in-rnn-both-shared": vis_in_rnn_both_shared,
    "blind": blind,
    "mrnn-shared": mrnn_shared,
    "tf-mrnn": tf_mrnn,
    "tf-mrnn-lstm": lambda w, words, v: tf_mrnn(w, words, v, plain_lstm, 2),
    "tf-mrnn-init": tf_mrnn_init,
    "tf-mrnn-init-lstm": lambda w, words, v: tf_mrnn_init(w, words, v, plain_lstm, 2),
}


def standardized(network):
    return (FEATURES - network.scaling.mean.numpy()) / network.scaling.std.numpy()


@pytest.mark.parametrize("variant", VARIANTS)
def test_forward_pass_matches_the_equations(make_network, variant):
    network = make_network(variant=variant)
    logits, image = network(TOKENS, FEATURES).numpy(), standardized(network)
    for row, words in enumerate(TOKENS):
        for step in range(len(words)):
            expected = PLAIN[variant](weights_of(network), words[: step + 1], image[row])
            np.testing.assert_allclose(logits[row, step], expected, atol=2e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_matches_finite_differences(make_network, variant):
    """Every single weight; the loss of the differences is that of the equations, in double precision."""
    network = make_network(variant=variant)
    for variable in network.trainable_variables:
        variable.assign(0.5 * variable.numpy())
    # A caption that is padded, and one that repeats a token.
    tokens, all_targets, features, image = TOKENS[1:], TARGETS[1:], FEATURES[1:], standardized(network)[1:]

    def plain_loss(w):
        total = 0.0
        for row, targets in enumerate(all_targets):
            for step, target in enumerate(targets[targets != PAD]):
                logits = PLAIN[variant](w, tokens[row, : step + 1], image[row])
                total += np.log(np.exp(logits).sum()) - logits[target]
        return total

    with tf.GradientTape() as tape:
        losses, _ = losses_and_logits(network, tokens, all_targets, tf.constant(features), training=False)
        loss = tf.reduce_sum(losses)
    gradients = tape.gradient(loss, network.trainable_variables)
    weights = weights_of(network)
    assert float(loss) == pytest.approx(plain_loss(weights), rel=1e-4)
    for (path, value), gradient in zip(weights.items(), gradients, strict=True):
        slopes = tf.convert_to_tensor(gradient).numpy()
        for position in np.ndindex(value.shape):
            unit = np.zeros(value.shape)
            unit[position] = 1e-6
            measured = (
                plain_loss({**weights, path: value + unit}) - plain_loss({**weights, path: value - unit})
            ) / 2e-6
            assert slopes[position] == pytest.approx(measured, rel=2e-3, abs=2e-4), (path, position)


@pytest.mark.slow("builds networks of published sizes")
@pytest.mark.parametrize(
    ("variant", "feature_size", "parameters"),
    [("tf-mrnn", 2048, 43_404_667), ("tf-mrnn", 4096, 47_598_971), ("tf-mrnn-init", 2048, 14_368_123)],
)
def test_published_configurations_have_the_published_parameter_counts(variant, feature_size, parameters):
    network = MRNN(13691, feature_size, ModelConfig(variant=variant))  # 43.40 M, 47.60 M and 14.37 M
    assert sum(int(np.prod(variable.shape)) for variable in network.trainable_variables) == parameters


def test_weights_of_tf_mrnn_start_uniform(make_network):
    network = MRNN(50, 40, ModelConfig("tf-mrnn", 30, 20, 10))
    for variable in network.trainable_variables:
        if variable is not network.cell.bias:
            assert 0.03 < np.abs(variable.numpy()).max() < 0.05
    np.testing.assert_array_equal(network.cell.bias.numpy(), [1.0] * 40 + [0.0] * 20)
    again = MRNN(50, 40, ModelConfig("tf-mrnn", 30, 20, 10)).get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(network.get_weights(), again, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_blind_variant_ignores_the_image(make_network, variant):
    network = make_network(variant=variant)
    same = np.array_equal(network(TOKENS, FEATURES), network(TOKENS, FEATURES[::-1].copy()))
    assert same == (variant == "blind")


@pytest.mark.parametrize(
    ("variant", "sizes", "message"),
    [
        ("nonsense", {}, "no variant 'nonsense'"),
        ("one-layer-emb", {"recurrent_size": 8}, "must be equal"),
        ("vis-in-rnn-both-shared", {"multimodal_size": 8}, "must be equal"),
        ("tf-mrnn-init", {"multimodal_size": 8}, "no multimodal layer"),
    ],
)
def test_incompatible_settings_are_one_sentence(variant, sizes, message):
    with pytest.raises(ConfigurationError, match=message):
        MRNN(7, 4, ModelConfig(variant=variant, **sizes))


def test_sizes_and_dropout_default_to_those_of_the_variant():
    network = MRNN(7, 4, ModelConfig("mrnn-shared", recurrent_size=9))
    assert network.sizes["embedding_size"] == 512
    assert network.sizes["recurrent_size"] == 9
    for given, expected in (
        ({}, [0.5, 0.5, 0.5, 0.0]),
        ({"dropout": 0.0}, [0.0, 0.0, 0.0, 0.0]),
        ({"recurrent_dropout": 0.0, "image_dropout": 0.1}, [0.5, 0.0, 0.5, 0.1]),
        ({"dropout": 0.2, "word_dropout": 0.3, "multimodal_dropout": 0.4}, [0.3, 0.2, 0.4, 0.0]),
    ):
        network = MRNN(7, 4, ModelConfig("tf-mrnn", 2, 2, 2, **given))
        assert list(network.dropout_rates.values()) == expected
        layers = (network.word_dropout, network.recurrent_dropout, network.multimodal_dropout, network.image_dropout)
        assert [layer.rate for layer in layers] == expected
