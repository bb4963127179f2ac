"""Image and sentence retrieval by caption likelihood (the paper's Section 5.3)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.scores import Recall

IMAGES = 64  # images whose likelihoods are held in memory at a time
ROUNDING = 0.01  # nats; more than the rounding of a sum of float32 log-probabilities


def pairs_in_question(
    bounds: NDArray[np.floating],
    own: NDArray[np.float64],
    prior: NDArray[np.float64],
    owner: NDArray[np.integer],
) -> NDArray[np.bool_]:
    """Select the pairs on which ranks depend: those that may score as well as the right answer, and the right ones.

    Args:
        bounds: Upper bounds of ln P(w|I), (sentences, images).
        own: ln P(w|I) of each sentence and its own image, float64 (sentences,).
        prior: ln P(w), float64 (sentences,).
        owner: Image of each sentence, (sentences,).

    Returns:
        bool (sentences, images).
    """
    is_own = owner[:, None] == np.arange(bounds.shape[1])
    best = np.where(is_own, (own - prior)[:, None], -np.inf).max(axis=0)
    highest = bounds + ROUNDING
    pairs: NDArray[np.bool_] = is_own | (highest >= own[:, None]) | (highest - prior[:, None] >= best)
    return pairs


def log_prior(of_sampled_images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute ln P(w), the log of the mean of P(w|I') over sampled images I'.

    Args:
        of_sampled_images: ln P(w|I'), float64 (sentences, samples).

    Returns:
        float64 (sentences,) in nats.
    """
    largest = of_sampled_images.max(axis=1, keepdims=True)
    prior: NDArray[np.float64] = largest[:, 0] + np.log(np.exp(of_sampled_images - largest).mean(axis=1))
    return prior


def sentence_ranks(
    likelihoods: NDArray[np.float64], prior: NDArray[np.float64], owner: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Rank each image's best own sentence among the sentences of other images, by P(w|I) / P(w) (Section 5.3).

    Args:
        likelihoods: ln P(w|I), float64 (sentences, images), read by blocks of images.
        prior: ln P(w), float64 (sentences,).
        owner: Image of each sentence, (sentences,).

    Returns:
        Ranks from 1, float64 (images,).
    """
    ranks = []
    for images in _blocks(likelihoods):
        scores = likelihoods[:, images] - prior[:, None]
        own = owner[:, None] == np.arange(likelihoods.shape[1])[images]
        best = np.where(own, scores, -np.inf).max(axis=0)
        others = np.where(own, -np.inf, scores)
        ranks.append(_ranks((others > best).sum(axis=0), (others == best).sum(axis=0)))
    return np.concatenate(ranks)


def image_ranks(likelihoods: NDArray[np.float64], owner: NDArray[np.integer]) -> NDArray[np.float64]:
    """Rank each sentence's own image among all images, by P(w|I) (Section 5.3).

    Args:
        likelihoods: ln P(w|I), float64 (sentences, images), read by blocks of images.
        owner: Image of each sentence, (sentences,).

    Returns:
        Ranks from 1, float64 (sentences,).
    """
    own = likelihoods[np.arange(len(owner)), owner][:, None]
    better, equal = np.zeros(len(owner), np.int64), np.full(len(owner), -1)  # the own image is not counted
    for images in _blocks(likelihoods):
        block = likelihoods[:, images]
        better += (block > own).sum(axis=1)
        equal += (block == own).sum(axis=1)
    return _ranks(better, equal)


def recall(parts: Sequence[NDArray[np.float64]]) -> Recall:
    """Compute recall from the ranks of one set of queries, or its mean over several sets."""
    table = [[*(100.0 * np.mean(ranks <= k) for k in (1, 5, 10)), np.median(ranks), np.mean(ranks)] for ranks in parts]
    return Recall(*np.mean(table, axis=0).tolist())


def _blocks(likelihoods: NDArray[np.float64]) -> list[slice]:
    return [slice(start, start + IMAGES) for start in range(0, likelihoods.shape[1], IMAGES)]


def _ranks(better: NDArray[np.int64], equal: NDArray[np.int64]) -> NDArray[np.float64]:
    """Convert counts of wrong answers, better than and equal to the right one, to ranks; ties share their mean rank."""
    ranks: NDArray[np.float64] = 1 + better + equal / 2
    return ranks
