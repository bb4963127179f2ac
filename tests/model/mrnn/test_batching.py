"""Batches: every caption once an epoch, in an order that a seed fixes, with little padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.mrnn.batching import collate, evaluation_batches, training_batches
from schemas.vocabulary import BOS, PAD

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=40)


def captions_of(make_captions, lengths):
    """Caption c consists of the words 10 c + 10, 10 c + 11, ... and belongs to image c // 2."""
    words = [list(range(10 * (index + 1), 10 * (index + 1) + length)) for index, length in enumerate(lengths)]
    return make_captions(words, [index // 2 for index in range(len(lengths))])


def rows(batches):
    """Of each row of the batches: the words that are targets, and the image."""
    return [
        (tuple(int(word) for word in target if word != PAD), int(image))
        for batch in batches
        for target, image in zip(batch.targets, batch.image_index, strict=True)
    ]


def test_inputs_begin_with_the_start_sign_and_targets_end_with_it(make_captions):
    captions = make_captions([[5, 6, 7], [8]], [0, 1])
    batch = collate(captions, np.array([1, 0]), max_length=30)
    np.testing.assert_array_equal(batch.inputs, [[BOS, 8, PAD, PAD], [BOS, 5, 6, 7]])
    np.testing.assert_array_equal(batch.targets, [[8, BOS, PAD, PAD], [5, 6, 7, BOS]])
    np.testing.assert_array_equal(batch.image_index, [1, 0])
    assert batch.tokens == 6


def test_long_captions_are_cut_before_the_end_sign(make_captions):
    batch = collate(make_captions([[5, 6, 7], [8, 9]], [0, 0]), np.array([0, 1]), max_length=2)
    np.testing.assert_array_equal(batch.inputs, [[BOS, 5, 6], [BOS, 8, 9]])
    np.testing.assert_array_equal(batch.targets, [[5, 6, BOS], [8, 9, BOS]])


@given(LENGTHS, st.integers(1, 7), st.integers(0, 3))
def test_epoch_contains_every_caption_once(make_captions, lengths, batch_size, epoch):
    captions = captions_of(make_captions, lengths)
    expected = sorted(((*captions[index].tolist(), BOS), index // 2) for index in range(len(lengths)))
    for batches in (
        list(training_batches(captions, batch_size, 30, seed=1, epoch=epoch)),
        list(evaluation_batches(captions, batch_size, 30)),
    ):
        assert sorted(rows(batches)) == expected
        assert all(1 <= len(batch.inputs) <= batch_size for batch in batches)
        assert sum(batch.tokens for batch in batches) == sum(lengths) + len(lengths)


def test_batch_order_depends_on_seed_and_epoch_only(make_captions):
    captions = captions_of(make_captions, [5] * 30)

    def order(seed, epoch):
        return rows(training_batches(captions, 4, 30, seed, epoch))

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed, epoch in ((1, 0), (1, 1), (2, 0), (0, 1))}) == 4


def test_batches_do_not_come_sorted_by_length(make_captions):
    lengths = [length for length in range(1, 10) for _ in range(20)]
    widths = [batch.inputs.shape[1] for batch in training_batches(captions_of(make_captions, lengths), 10, 30, 1, 0)]
    assert widths != sorted(widths) and widths != sorted(widths, reverse=True)


@pytest.mark.parametrize(
    "batches", [lambda c: training_batches(c, 16, 30, 1, 0), lambda c: evaluation_batches(c, 16, 30)]
)
def test_buckets_keep_padding_low(make_captions, batches):
    lengths = np.random.default_rng(0).integers(3, 20, 2000)
    made = list(batches(captions_of(make_captions, lengths)))
    cells = sum(batch.targets.size for batch in made)
    assert sum(batch.tokens for batch in made) / cells > 0.97


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shards_hold_each_caption_once(make_captions, count):
    batch = collate(make_captions([[3], [4, 5], [6], [7, 8, 9]], [0, 1, 2, 3]), np.arange(4), 9)
    shards = [batch.shard(index, count) for index in range(count)]
    assert sorted(row for shard in shards for row in shard.image_index) == [0, 1, 2, 3]
    assert sum(shard.tokens for shard in shards) == batch.tokens
    assert max(len(shard.inputs) for shard in shards) - min(len(shard.inputs) for shard in shards) <= 1
    assert all(shard.inputs.shape == shard.targets.shape for shard in shards)
