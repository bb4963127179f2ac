"""Image and sentence retrieval by caption likelihood (the paper's Section 5.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.mrnn.network import MRNN, Image
from schemas.errors import ArtifactError
from schemas.scores import Recall
from schemas.vocabulary import BOS

ROWS = 4096  # prefixes whose softmax is held in memory at a time
IMAGES = 64  # images whose likelihoods are held in memory at a time


@dataclass(frozen=True)
class _Prefixes:
    """All distinct prefixes of the sentences, numbered in order of length, and the T tokens to predict.

    Attributes:
        levels: By length of the prefix int32 (n, 2): the index of its parent in the level before, and its last token.
        owner: Prefix before each token to predict, int32 (T,).
        target: The token to predict, int32 (T,).
        sentence: Its sentence, int32 (T,).
    """

    levels: list[NDArray[np.int32]]
    owner: NDArray[np.int32]
    target: NDArray[np.int32]
    sentence: NDArray[np.int32]


def log_likelihoods(
    network: MRNN,
    sentences: Sequence[NDArray[np.int32]],
    features: NDArray[np.floating],
    result: NDArray[np.float64] | None = None,
    progress: Callable[[float], None] = lambda done: None,
    pairs: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Compute ln P(sentence, end token | image) of pairs of sentences and images.

    The recurrent layer runs once for each distinct prefix of the sentences: once for all images, so that only the
    multimodal layer and the softmax run for each of them, or once per image in the variants whose recurrent layer sees
    the image. In addition to the result, memory holds the projected language of every prefix.

    Args:
        network: The m-RNN.
        sentences: Token ids int32 (tokens,) of each of the S sentences, without start and end tokens.
        features: Features of the N images, (N, D).
        result: Array float64 (S, N) to fill, such as a memory map. Columns without a 0 were computed by an interrupted
            run and are kept.
        progress: Receives the finished fraction.
        pairs: Pairs to compute, bool (S, N); the others are -inf. Default: all.

    Returns:
        float64 (S, N) in nats; `result` if it is given.

    Raises:
        ArtifactError: The network's probabilities are not finite; they would look like perfect recall.
    """
    prefixes = _prefixes(sentences)
    order = np.argsort(prefixes.owner, kind="stable")
    owner, target, sentence = prefixes.owner[order], prefixes.target[order], prefixes.sentence[order]
    blocks = _word_blocks(owner, target)

    @tf.function(autograph=False, reduce_retracing=True)
    def word_log_probs(language: tf.Tensor, targets: tf.Tensor, image: Image) -> tf.Tensor:
        logits = tf.cast(network.word_logits(language, image), tf.float32)
        normalizer = tf.reduce_logsumexp(logits, axis=1)
        return tf.gather_nd(logits, targets) - tf.gather(normalizer, targets[:, 0])

    if result is None:
        result = np.zeros((len(sentences), len(features)))
    missing = [index for index in range(len(features)) if not result[:, index].all()]
    projected = network.project_image(tf.constant(features, tf.float32))
    language = None
    for number, index in enumerate(missing, start=1):
        image = {layer: of_layer[index : index + 1] for layer, of_layer in projected.items()}
        if language is None or network.recurrent_sees_image:
            language = _read_prefixes(network, prefixes.levels, image)
        chosen: slice | NDArray[np.int64] = slice(None)
        if pairs is not None:
            chosen = np.flatnonzero(pairs[sentence, index])
            blocks = _word_blocks(owner[chosen], target[chosen])
        log_probs = [word_log_probs(_rows(language, rows), words, image).numpy() for rows, words in blocks]
        of_image = np.bincount(sentence[chosen], np.concatenate([np.empty(0), *log_probs]), len(sentences))
        if not np.isfinite(of_image).all():
            raise ArtifactError("The model's probabilities are not finite; train it again with a lower learning_rate.")
        result[:, index] = of_image if pairs is None else np.where(pairs[:, index], of_image, -np.inf)
        progress(1.0 - (len(missing) - number) / len(features))
    return result


def likely_pairs(
    of_sampled_images: NDArray[np.float64],
    weights: NDArray[np.floating],
    owner: NDArray[np.integer],
    candidates: int,
) -> NDArray[np.bool_]:
    """Select the pairs that may rank first, by likelihoods that are regressed on those under a few images.

    Selected are the pairs that belong together, the best sentences of each image by P(w|I) / P(w), and the best images
    of each sentence by P(w|I): on average as many pairs as there are of the former.

    Args:
        of_sampled_images: Exact ln P(w|I') under sampled images, float64 (sentences, samples).
        weights: Weight of each sampled image in the regression for each image, (images, samples).
        owner: Image of each sentence, (sentences,).
        candidates: Number of sentences to select for each image.

    Returns:
        bool (sentences, images).
    """
    mean = of_sampled_images.mean(axis=1, keepdims=True)
    expected = (mean + (of_sampled_images - mean) @ weights.T).astype(np.float32)
    sentences, images = expected.shape
    pairs: NDArray[np.bool_] = owner[:, None] == np.arange(images)
    best = _largest(expected - log_prior(of_sampled_images)[:, None], candidates, axis=0)
    np.put_along_axis(pairs, best, True, axis=0)
    best = _largest(expected, max(1, round(candidates * images / sentences)), axis=1)
    np.put_along_axis(pairs, best, True, axis=1)
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


def _largest(values: NDArray[np.floating], count: int, axis: int) -> NDArray[np.int64]:
    """Return the positions of the `count` largest values along an axis, or all."""
    count = min(count, values.shape[axis])
    return np.argpartition(-values, count - 1, axis=axis).take(np.arange(count), axis=axis)


def _word_blocks(owner: NDArray[np.int32], target: NDArray[np.int32]) -> list[tuple[NDArray[np.int32], tf.Tensor]]:
    """Split tokens to predict into blocks of up to `ROWS` prefixes.

    Args:
        owner: Prefix before each token, ascending, int32 (T,).
        target: The token, int32 (T,).

    Returns:
        Of each block the prefixes int32 (n,), and by token its prefix among these and the token, (t, 2).
    """
    is_first = np.diff(owner, prepend=-1) > 0
    rows, position = owner[is_first], np.cumsum(is_first) - 1
    starts = range(0, len(rows), ROWS)
    cuts = np.searchsorted(position, [*starts, len(rows)])
    return [
        (rows[start : start + ROWS], tf.constant(np.stack([position[low:high] - start, target[low:high]], axis=1)))
        for start, low, high in zip(starts, cuts[:-1], cuts[1:], strict=True)
    ]


def _rows(language: tf.Tensor, rows: NDArray[np.int32]) -> tf.Tensor:
    """Return some rows in ascending order, without copying them if they are consecutive."""
    first, end = int(rows[0]), int(rows[-1]) + 1
    return language[first:end] if end - first == len(rows) else tf.gather(language, rows)


def _prefixes(sentences: Sequence[NDArray[np.int32]]) -> _Prefixes:
    """Number all distinct prefixes in order of length."""
    number: dict[tuple[int, ...], int] = {}
    levels: list[NDArray[np.int32]] = []
    owner, target, sentence = [], [], []
    alive = [(index, tuple(int(word) for word in words)) for index, words in enumerate(sentences)]
    length = before = 0  # `before`: number of the first prefix of the level above
    while alive:
        first, level = len(number), []
        for index, words in alive:
            prefix = words[:length]
            if prefix not in number:
                number[prefix] = len(number)
                level.append((number[prefix[:-1]] - before, prefix[-1]) if prefix else (0, BOS))
            owner.append(number[prefix])
            target.append(words[length] if length < len(words) else BOS)
            sentence.append(index)
        levels.append(np.array(level, np.int32))
        alive = [(index, words) for index, words in alive if length < len(words)]
        length, before = length + 1, first
    return _Prefixes(levels, np.array(owner, np.int32), np.array(target, np.int32), np.array(sentence, np.int32))


def _read_prefixes(network: MRNN, levels: Sequence[NDArray[np.int32]], image: Image) -> tf.Tensor:
    """Project the language after each prefix for one image, (prefixes, size)."""
    states, language = network.initial_state(1, image), []
    for level in levels:
        parents, last = level.T
        words, direct = network.embed(tf.constant(last))
        recurrent, states = network.recurrent_step(words, [tf.gather(state, parents) for state in states], image)
        language.append(network.fuse_language(direct, recurrent))
    return tf.concat(language, axis=0)
