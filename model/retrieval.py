"""Image and sentence retrieval by caption likelihood (the paper's Section 5.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from model.network import MRNN, Image
from schemas.errors import ArtifactError
from schemas.scores import Recall
from schemas.vocabulary import BOS

ROWS = 4096  # prefixes whose softmax is held in memory at a time


@dataclass(frozen=True)
class _Prefixes:
    """All distinct beginnings of the sentences, numbered shorter before longer: what comes before a predicted word.

    levels: by length of the prefix, int32 (n, 2), its parent's position in the level before and its last word; owner:
    int32 (T,), of each predicted word of all sentences the prefix before it; target: int32 (T,), the word; sentence:
    int32 (T,).
    """

    levels: list[np.ndarray]
    owner: np.ndarray
    target: np.ndarray
    sentence: np.ndarray


def log_likelihoods(
    network: MRNN,
    sentences: Sequence[np.ndarray],
    features: np.ndarray,
    progress: Callable[[float], None] = lambda done: None,
) -> np.ndarray:
    """ln P(sentence, end sign | image) of all pairs: float64 (sentences, images).

    The recurrent layer runs once for each distinct prefix of the sentences: for all images together, so that only the
    multimodal layer and the softmax are left to each, or for each image in the variants where it sees the image.
    sentences: word ids; features: (images, D).

    Raises:
        ArtifactError: the network gives probabilities that are no numbers; they would pass for perfect recall.
    """
    prefixes = _prefixes(sentences)
    order = np.argsort(prefixes.owner, kind="stable")
    owner, target, sentence = prefixes.owner[order], prefixes.target[order], prefixes.sentence[order]
    count = sum(len(level) for level in prefixes.levels)
    starts = range(0, count, ROWS)
    cuts = np.searchsorted(owner, [*starts, count])
    targets = [
        tf.constant(np.stack([owner[low:high] - start, target[low:high]], axis=1))
        for start, low, high in zip(starts, cuts[:-1], cuts[1:], strict=True)
    ]

    @tf.function(reduce_retracing=True)
    def word_log_probs(language: tf.Tensor, targets: tf.Tensor, image: Image) -> tf.Tensor:
        logits = tf.cast(network.word_logits(language, image), tf.float32)
        normaliser = tf.reduce_logsumexp(logits, axis=1)
        return tf.gather_nd(logits, targets) - tf.gather(normaliser, targets[:, 0])

    result = np.empty((len(sentences), len(features)))
    projected = network.project_image(tf.constant(features, tf.float32))
    language = None
    for index in range(len(features)):
        image = {layer: of_layer[index : index + 1] for layer, of_layer in projected.items()}
        if language is None or network.recurrent_sees_image:
            language = _read_prefixes(network, prefixes.levels, image)
        log_probs = np.concatenate(
            [
                word_log_probs(language[start : start + ROWS], of_block, image).numpy()
                for start, of_block in zip(starts, targets, strict=True)
            ]
        )
        result[:, index] = np.bincount(sentence, log_probs, minlength=len(sentences))
        progress((index + 1) / len(features))
    if not np.isfinite(result).all():
        raise ArtifactError("The model's probabilities are no numbers; train it again, with a lower learning_rate.")
    return result


def normalise(likelihoods: np.ndarray, of_sampled_images: np.ndarray) -> np.ndarray:
    """ln P(w|I) - ln P(w), P(w) being the mean of P(w|I') over sampled training images.

    likelihoods (sentences, images), of_sampled_images (sentences, samples), natural logarithms.
    """
    largest = of_sampled_images.max(axis=1, keepdims=True)
    prior = largest + np.log(np.exp(of_sampled_images - largest).mean(axis=1, keepdims=True))
    return likelihoods - prior


def sentence_recall(scores: np.ndarray, owner: np.ndarray) -> Recall:
    """Image queries: rank of an image's best own sentence among those of others; scores (sentences, images)."""
    own = owner[:, None] == np.arange(scores.shape[1])
    best = np.where(own, scores, -np.inf).max(axis=0)
    others = np.where(own, -np.inf, scores)
    return _recall((others > best).sum(axis=0), (others == best).sum(axis=0))


def image_recall(likelihoods: np.ndarray, owner: np.ndarray) -> Recall:
    """Sentence queries: rank of each sentence's own image among all; likelihoods (sentences, images)."""
    own = likelihoods[np.arange(len(owner)), owner][:, None]
    return _recall((likelihoods > own).sum(axis=1), (likelihoods == own).sum(axis=1) - 1)


def _recall(better: np.ndarray, equal: np.ndarray) -> Recall:
    """From how many wrong answers score better and how many the same as the right one; equals share their mean rank."""
    ranks = 1 + better + equal / 2
    r1, r5, r10 = (float(100.0 * np.mean(ranks <= k)) for k in (1, 5, 10))
    return Recall(r1, r5, r10, float(np.median(ranks)))


def _prefixes(sentences: Sequence[np.ndarray]) -> _Prefixes:
    """Numbers all distinct prefixes, shorter before longer."""
    number: dict[tuple[int, ...], int] = {}
    levels: list[np.ndarray] = []
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


def _read_prefixes(network: MRNN, levels: Sequence[np.ndarray], image: Image) -> tf.Tensor:
    """The language after each prefix, (prefixes, size), for one image."""
    states, language = network.initial_state(1, image), []
    for level in levels:
        parents, last = level.T
        words, direct = network.embed(tf.constant(last))
        recurrent, states = network.advance(words, [tf.gather(state, parents) for state in states], image)
        language.append(network.language(direct, recurrent))
    return tf.concat(language, axis=0)
