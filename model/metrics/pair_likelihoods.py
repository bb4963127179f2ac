"""Likelihoods of captions under images, of all pairs or of some, and upper bounds that cost less."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.mrnn.network import MRNN, Image
from schemas.errors import ArtifactError
from schemas.vocabulary import BOS

ROWS = 4096  # prefixes whose softmax is held in memory at a time
SENTENCES = 256  # sentences whose bounds are computed at a time
ELEMENTS = 2**23  # numbers of an array of inputs of the softmax
SHARE = 40  # a fortieth of the vocabulary is in the shortlist of a bound, at least `SHORTEST` words
SHORTEST = 32
NOT_FINITE = "The model's probabilities are not finite; train it again with a lower learning_rate."


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
            raise ArtifactError(NOT_FINITE)
        result[:, index] = of_image if pairs is None else np.where(pairs[:, index], of_image, -np.inf)
        progress(1.0 - (len(missing) - number) / len(features))
    return result


def likelihood_bounds(
    network: MRNN,
    sentences: Sequence[NDArray[np.int32]],
    sampled: NDArray[np.floating],
    features: NDArray[np.floating],
    result: NDArray[np.float64] | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> NDArray[np.float64]:
    """Compute ln P(sentence, end token | image) for some images, and upper bounds of it for others.

    The softmax over the vocabulary is nearly all of the cost of a likelihood. Its normalizer is a sum of positive
    terms, so that a part of the sum is a lower bound. For each prefix of a sentence, the sampled images give a mean
    distribution p of the next word. The bounds sum over a shortlist S of the words that are most probable in p. All
    other words together count as one: for logits z and q = p / p(not S), by Jensen's inequality,

        sum over w not in S of exp(z_w)  >=  exp(sum over w not in S of q_w (z_w - ln q_w)),

    and the right side needs a single product per image, since z is linear in the input of the softmax.

    Args:
        network: An m-RNN with `image_enters_last`.
        sentences: Token ids int32 (tokens,) of each of the S sentences, without start and end tokens.
        sampled: Features of the n images of the exact likelihoods, (n, D).
        features: Features of the N images of the bounds, (N, D).
        result: Array float64 (S, n + N) to fill, such as a memory map. Rows without a 0 were computed by an interrupted
            run and are kept.
        progress: Receives the finished fraction.

    Returns:
        float64 (S, n + N) in nats, exact and bounds; `result` if it is given. Rounding is that of float32.

    Raises:
        ArtifactError: The network's probabilities are not finite; they would look like perfect recall.
    """
    columns = len(sampled) + len(features)
    if result is None:
        result = np.zeros((len(sentences), columns))
    of_sampled, of_others = (
        network.project_image(tf.constant(each, tf.float32))["multimodal"] for each in (sampled, features)
    )
    of_edges = _edge_function(network, of_sampled, of_others)
    edges_at_once = max(1, ELEMENTS // int(tf.size(of_others)))
    first_image = {"multimodal": of_sampled[:1]}  # the recurrent layer does not see it
    # Sentences that begin alike share the work.
    order = np.array(sorted(range(len(sentences)), key=lambda index: sentences[index].tolist()))
    for start in range(0, len(order), SENTENCES):
        block = order[start : start + SENTENCES]
        if not result[block].all():
            prefixes = _prefixes([sentences[index] for index in block])
            language = _read_prefixes(network, prefixes.levels, first_image)
            edges, edge_of_token = np.unique(
                np.stack([prefixes.owner, prefixes.target], axis=1), axis=0, return_inverse=True
            )
            values = [
                of_edges(_rows(language, rows), rank, words).numpy() for rows, rank, words in _cut(edges, edges_at_once)
            ]
            in_order = np.argsort(prefixes.sentence, kind="stable")
            starts = np.flatnonzero(np.diff(prefixes.sentence[in_order], prepend=-1))
            of_tokens = np.concatenate(values).astype(np.float64)[edge_of_token[in_order]]
            found = np.add.reduceat(of_tokens, starts, axis=0)
            if not np.isfinite(found).all():
                raise ArtifactError(NOT_FINITE)
            result[block] = found
        progress(min(1.0, (start + SENTENCES) / len(order)))
    return result


def _edge_function(network: MRNN, of_sampled: tf.Tensor, of_others: tf.Tensor) -> Callable[..., tf.Tensor]:
    """Return a function of the log-probabilities of words after prefixes, exact for some images and bounds for others.

    Args:
        network: The m-RNN.
        of_sampled: Projected images of the exact values, (n, size).
        of_others: Projected images of the bounds, (N, size).

    Returns:
        Function of the language (p, size) of p prefixes, and by word its prefix among these (e,) and the word (e,);
        returns (e, n + N).
    """
    kernel, bias = network.softmax_weights()
    vectors = tf.transpose(kernel)  # (V, H)
    words_of_list = min(len(bias), max(SHORTEST, len(bias) // SHARE))

    @tf.function(autograph=False, reduce_retracing=True)
    def of_edges(language: tf.Tensor, rank: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
        inputs = network.softmax_inputs(language[:, None], {"multimodal": of_sampled[None]})
        logits = tf.matmul(tf.reshape(inputs, [-1, kernel.shape[0]]), kernel) + bias
        log_probs = tf.reshape(tf.nn.log_softmax(logits), [-1, of_sampled.shape[0], bias.shape[0]])
        shape = [tf.size(words), len(of_sampled)]
        at = (rank[:, None], tf.range(shape[1]), words[:, None])
        exact = tf.gather_nd(log_probs, tf.stack([tf.broadcast_to(each, shape) for each in at], axis=2))

        mean = tf.reduce_mean(tf.exp(log_probs), axis=1)  # (p, V)
        probability, listed = tf.math.top_k(mean, words_of_list)
        others = tf.where(mean < probability[:, -1:], mean, 0.0)
        total = tf.reduce_sum(others, axis=1, keepdims=True)
        others = tf.math.divide_no_nan(others, total)
        entropy = tf.where(total[:, 0] > 0.0, -tf.reduce_sum(tf.math.xlogy(others, others), axis=1), -np.inf)
        list_vectors = tf.concat([tf.gather(vectors, listed), tf.matmul(others, vectors)[:, None]], axis=1)
        list_bias = tf.concat([tf.gather(bias, listed), (tf.linalg.matvec(others, bias) + entropy)[:, None]], axis=1)

        inputs = network.softmax_inputs(tf.gather(language, rank)[:, None], {"multimodal": of_others[None]})
        edge_vectors = tf.concat([tf.gather(list_vectors, rank), tf.gather(vectors, words)[:, None]], axis=1)
        edge_bias = tf.concat([tf.gather(list_bias, rank), tf.gather(bias, words)[:, None]], axis=1)
        logits = tf.matmul(inputs, edge_vectors, transpose_b=True) + edge_bias[:, None]  # (e, N, listed + 2)
        bounds = logits[:, :, -1] - tf.reduce_logsumexp(logits[:, :, :-1], axis=2)
        return tf.concat([exact, tf.minimum(bounds, 0.0)], axis=1)

    function: Callable[..., tf.Tensor] = of_edges
    return function


def _cut(
    edges: NDArray[np.int32], size: int
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]]:
    """Cut pairs of prefix and word (E, 2), in order of the prefix, into pieces of up to `size`.

    Yields:
        The prefixes of a piece, and by word the position of its prefix among these and the word.
    """
    for first, end in pairwise([*range(0, len(edges), size), len(edges)]):
        owner, words = edges[first:end].T
        rows, rank = np.unique(owner, return_inverse=True)
        yield rows, rank.astype(np.int32), words


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
