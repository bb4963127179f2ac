"""Perplexity by hand and caption by caption, and the gradient of the cost by small differences."""

import numpy as np
import pytest
import tensorflow as tf

from model.mrnn.batching import collate
from model.mrnn.likelihood import losses_and_logits, perplexity
from schemas.vocabulary import BOS, UNK

CAPTIONS = [[3, 4], [5], [4, 4, UNK, 6], [], [6, 3, 5]]
OWNERS = [0, 1, 1, 2, 0]
FEATURES = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def blind(network, probabilities):
    """Make the network predict the same distribution everywhere."""
    network.softmax.kernel.assign(np.zeros(network.softmax.kernel.shape))
    network.softmax.bias.assign(np.log(probabilities))
    return network


def test_untrained_perplexity_is_the_vocabulary_size(make_network, make_captions):
    network = blind(make_network(vocabulary_size=7), np.full(7, 1 / 7))
    assert perplexity(network, make_captions(CAPTIONS, OWNERS), FEATURES, 30) == pytest.approx(7.0, rel=1e-5)


def test_end_token_counts_as_a_token(make_network, make_captions):
    # Two words of probability 1/8 and an end sign of 1/2: 3 + 3 + 1 bits over three words.
    probabilities = np.array([1 / 16, 1 / 16, 1 / 2, 1 / 8, 1 / 8, 1 / 16, 1 / 16])
    network = blind(make_network(), probabilities)
    assert perplexity(network, make_captions([[3, 4]], [0]), FEATURES, 30) == pytest.approx(2 ** (7 / 3), rel=1e-5)


def test_unknown_words_count_as_the_unknown_word(make_network, make_captions):
    probabilities = np.array([1 / 16, 1 / 4, 1 / 2, 1 / 16, 1 / 16, 1 / 32, 1 / 32])
    network = blind(make_network(), probabilities)
    assert perplexity(network, make_captions([[UNK]], [0]), FEATURES, 30) == pytest.approx(2**1.5, rel=1e-5)


@pytest.mark.parametrize(("max_length", "batch_size"), [(30, 256), (30, 2), (2, 256)])
def test_perplexity_equals_scoring_caption_by_caption(make_network, make_captions, max_length, batch_size):
    network = make_network(dropout=0.5)
    nats = words = 0
    for caption, owner in zip(CAPTIONS, OWNERS, strict=True):
        caption = caption[:max_length]
        logits = network(np.array([[BOS, *caption]]), FEATURES[[owner]]).numpy()[0].astype(np.float64)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        nats -= sum(log_probs[step, word] for step, word in enumerate([*caption, BOS]))
        words += len(caption) + 1
    result = perplexity(network, make_captions(CAPTIONS, OWNERS), FEATURES, max_length, batch_size)
    assert result == pytest.approx(np.exp(nats / words), rel=1e-5)


def test_perplexity_beyond_all_numbers_is_infinite(make_network, make_captions):
    network = blind(make_network(), np.array([0.1, 0.1, 0.1, 1e-30, 0.1, 0.1, 0.1]))
    network.softmax.bias.assign(1e4 * network.softmax.bias.numpy())
    assert perplexity(network, make_captions([[3]], [0]), FEATURES, 30) == np.inf


def test_loss_gradient_matches_finite_differences(make_network, make_captions):
    network = make_network()
    for variable in network.trainable_variables:
        variable.assign(0.5 * variable.numpy())  # where float32 is fine enough
    batch = collate(make_captions(CAPTIONS, OWNERS), np.arange(len(CAPTIONS)), 30)
    features = tf.constant(FEATURES[batch.image_index])

    def cost():
        losses, _ = losses_and_logits(network, batch.inputs, batch.targets, features, training=False)
        return tf.reduce_mean(losses)

    with tf.GradientTape() as tape:
        value = cost()
    gradients = tape.gradient(value, network.trainable_variables)
    random = np.random.default_rng(0)
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        start, slope = variable.numpy(), tf.convert_to_tensor(gradient).numpy()
        direction = random.standard_normal(start.shape).astype(np.float32) + np.sign(slope)
        differences = []
        for distance in (0.01, -0.01):
            variable.assign(start + distance * direction)
            differences.append(float(cost()))
        variable.assign(start)
        measured = (differences[0] - differences[1]) / 0.02
        assert measured == pytest.approx(float((slope * direction).sum()), rel=0.02, abs=1e-4), variable.path
