"""Scheduled sampling: which words are replaced, how often, and by which."""

import numpy as np
import pytest
import tensorflow as tf

from model.mrnn.batching import collate
from model.training.scheduled_sampling import replace_words, share_at
from schemas.vocabulary import BOS, PAD

CAPTIONS = [[3, 4, 5], [6], [5, 5, 3, 4, 6, 3], [], [4, 3]]
FEATURES = np.random.default_rng(0).standard_normal((len(CAPTIONS), 4)).astype(np.float32)


@pytest.fixture
def replaced(make_captions):
    batch = collate(make_captions(CAPTIONS, range(len(CAPTIONS))), np.arange(len(CAPTIONS)), 20)

    def replace(network, share, seed=(0, 0), times=1):
        tensors = (np.tile(batch.inputs, (times, 1)), np.tile(batch.targets, (times, 1)), np.tile(FEATURES, (times, 1)))
        inputs, targets, features = map(tf.constant, tensors)
        found = replace_words(network, inputs, targets, features, tf.constant(share, tf.float32), tf.constant(seed))
        return batch.inputs, found.numpy()

    return replace


def knowing(network, probabilities):
    """Makes the network predict the same distribution everywhere."""
    network.softmax.kernel.assign(np.zeros(network.softmax.kernel.shape))
    network.softmax.bias.assign(np.log(probabilities))
    return network


def test_the_share_rises_evenly_from_nothing():
    assert [share_at(0.3, epoch, 4) for epoch in range(4)] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert share_at(0.3, 0, 1) == 0.0


def test_a_share_of_nothing_leaves_all_as_it_is(make_network, replaced):
    before, after = replaced(make_network(), 0.0)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_words_are_drawn_from_the_network_in_that_share(make_network, replaced, share):
    """Word 1 to 6 by their probabilities, without the end sign; the true word may be drawn too."""
    probabilities = np.array([0.1, 0.05, 0.4, 0.05, 0.2, 0.1, 0.1])
    times = 4000
    before, after = replaced(knowing(make_network(), probabilities), share, times=times)
    assert (after.reshape(times, *before.shape)[:, before == PAD] == PAD).all()
    assert (after[:, 0] == BOS).all()
    expected = np.where(np.isin(range(7), [PAD, BOS]), 0, probabilities)
    expected /= expected.sum()
    for row, column in [(0, 1), (0, 3), (2, 6), (4, 2)]:
        shares = np.bincount(after.reshape(times, *before.shape)[:, row, column], minlength=7) / times
        true = np.eye(7)[before[row, column]]
        np.testing.assert_allclose(shares, (1 - share) * true + share * expected, atol=0.03)


def test_a_word_is_drawn_after_the_true_words_before_it(make_network, replaced):
    network = make_network(3, variant="mrnn")
    for variable in network.softmax.trainable_variables:
        variable.assign(1e3 * variable)  # so sure that only one word can be drawn
    before, after = replaced(network, 1.0)
    logits = network(before, FEATURES).numpy()
    logits[:, :, [PAD, BOS]] = -np.inf
    expected = np.concatenate([before[:, :1], logits.argmax(axis=2)[:, :-1]], axis=1)
    np.testing.assert_array_equal(after, np.where(before == PAD, PAD, expected))
    assert (after != before).any()


def test_the_seed_says_what_is_drawn(make_network, replaced):
    network = make_network()
    (_, one), (_, again), (_, other) = (replaced(network, 0.5, seed, times=9) for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
