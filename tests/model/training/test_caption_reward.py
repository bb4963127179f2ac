"""The reward against pycocoevalcap's CIDEr-D on the same dataset."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocoevalcap.cider.cider import Cider

from model.training.self_critical import CaptionReward

END = "<bos>"
WORDS = st.sampled_from(["a", "dog", "runs", "on", "grass", "."])
SENTENCES = st.lists(WORDS, max_size=8)


def official(dataset, hypotheses):
    """CIDEr-D of one hypothesis an image; document frequencies are those of all captions of the dataset."""
    references = {image: [" ".join(words) for words in captions] for image, captions in enumerate(dataset)}
    _, each = Cider().compute_score(references, {image: [" ".join(words)] for image, words in enumerate(hypotheses)})
    return each


def reward_of(dataset, bleu=0.0):
    owners = [image for image, captions in enumerate(dataset) for _ in captions]
    order = np.random.default_rng(0).permutation(len(owners))  # captions of an image need not be adjacent
    captions = [words for captions in dataset for words in captions]
    owners = np.array(owners)[order]
    of_image = [np.flatnonzero(owners == image) for image in range(len(dataset))]
    return CaptionReward([captions[row] for row in order], of_image, bleu)


@given(st.lists(st.lists(SENTENCES, min_size=1, max_size=4), min_size=2, max_size=5), st.data())
def test_reward_matches_the_official_score(dataset, data):
    dataset = [[[*words, END] for words in captions] for captions in dataset]
    hypotheses = [[*data.draw(SENTENCES), END] for _ in dataset]
    expected = official(dataset, hypotheses)
    reward = reward_of(dataset)
    np.testing.assert_allclose(reward(hypotheses, np.arange(len(dataset))), expected, rtol=0, atol=1e-9)
    # Of some images alone, in another order and more than once: the frequencies stay those of the dataset.
    images = np.array(data.draw(st.lists(st.integers(0, len(dataset) - 1), min_size=1, max_size=6)))
    some = reward([hypotheses[image] for image in images], images)
    np.testing.assert_allclose(some, expected[images], rtol=0, atol=1e-9)


def test_unseen_ngrams_count_in_the_norm_only():
    dataset = [[["a", "dog"]], [["a", "cat"]]]
    hypotheses = [["a", "dog", "whistles"], ["whistling", "cat"]]
    np.testing.assert_allclose(reward_of(dataset)(hypotheses, np.arange(2)), official(dataset, hypotheses), atol=1e-9)


def test_truncated_caption_has_a_lower_reward():
    reward = reward_of([[["a", "dog", END]], [["a", "cat", "sits", END]]])
    ended, broken = reward([["a", "dog", END], ["a", "dog"]], np.array([0, 0]))
    assert ended > broken
    assert ended == pytest.approx(10 * 3 / 4)  # its own caption, which has no n-gram of four words


def test_bleu_is_added_by_its_weight():
    dataset = [[["a", "dog", "runs", "on", "grass"], ["a", "dog"]], [["a", "cat"]]]
    sentences, images = [["a", "dog", "runs"], ["a", "dog", "sits"]], np.array([0, 0])
    # F1 of 1- to 4-grams: with the first caption 6/8, 4/6, 2/4, 0 and 4/8, 2/6, 0, 0; with the second 4/5, 2/3, 0, 0.
    by_hand = [((6 / 8 + 4 / 6 + 2 / 4) / 4 + (4 / 5 + 2 / 3) / 4) / 2, ((4 / 8 + 2 / 6) / 4 + (4 / 5 + 2 / 3) / 4) / 2]
    added = reward_of(dataset, bleu=3.0)(sentences, images) - reward_of(dataset)(sentences, images)
    np.testing.assert_allclose(added, 3.0 * np.array(by_hand), atol=1e-12)
