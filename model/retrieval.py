"""Image and sentence retrieval by caption likelihood (the paper's Section 5.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from model.network import MRNN
from schemas.scores import Recall
from schemas.vocabulary import BOS

ROWS = 4096  # prefixes whose softmax is held in memory at a time


@dataclass(frozen=True)
class _Prefixes:
    """All distinct beginnings of the sentences: what the network sees before it predicts a word.

    recurrent: float32 (P, R), word: float32 (P, R), r and w after each prefix; owner: int32 (T,), of each predicted
    word of all sentences the prefix before it; target: int32 (T,), the word; sentence: int32 (T,).
    """

    word: np.ndarray
    recurrent: np.ndarray
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

    The recurrent layer does not see the image, so it runs once for each distinct prefix of the sentences; per image
    only the multimodal layer and the softmax are left. sentences: word ids; features: (images, D).
    """
    prefixes = _prefixes(network, sentences)
    order = np.argsort(prefixes.owner, kind="stable")
    owner, target, sentence = prefixes.owner[order], prefixes.target[order], prefixes.sentence[order]
    starts = range(0, len(prefixes.word), ROWS)
    cuts = np.searchsorted(owner, [*starts, len(prefixes.word)])
    blocks = [
        (
            tf.constant(prefixes.word[start : start + ROWS]),
            tf.constant(prefixes.recurrent[start : start + ROWS]),
            tf.constant(np.stack([owner[low:high] - start, target[low:high]], axis=1)),
        )
        for start, low, high in zip(starts, cuts[:-1], cuts[1:], strict=True)
    ]

    @tf.function(reduce_retracing=True)
    def word_log_probs(word: tf.Tensor, recurrent: tf.Tensor, targets: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        logits = network.word_logits(word, recurrent, image)
        normaliser = tf.reduce_logsumexp(logits, axis=1)
        return tf.gather_nd(logits, targets) - tf.gather(normaliser, targets[:, 0])

    result = np.empty((len(sentences), len(features)))
    for index, image in enumerate(network.project_image(tf.constant(features, tf.float32))):
        log_probs = np.concatenate([word_log_probs(*block, image[None, :]).numpy() for block in blocks])
        result[:, index] = np.bincount(sentence, log_probs, minlength=len(sentences))
        progress((index + 1) / len(features))
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


def _prefixes(network: MRNN, sentences: Sequence[np.ndarray]) -> _Prefixes:
    """Numbers all distinct prefixes, shorter before longer, and runs the recurrent layer over them."""
    number: dict[tuple[int, ...], int] = {}
    levels: list[list[tuple[int, int]]] = []  # per length: (parent's number, last word) of each new prefix
    owner, target, sentence = [], [], []
    alive = [(index, tuple(int(word) for word in words)) for index, words in enumerate(sentences)]
    length = 0
    while alive:
        levels.append([])
        for index, words in alive:
            prefix = words[:length]
            if prefix not in number:
                number[prefix] = len(number)
                levels[-1].append((number[prefix[:-1]], prefix[-1]) if prefix else (0, BOS))
            owner.append(number[prefix])
            target.append(words[length] if length < len(words) else BOS)
            sentence.append(index)
        alive = [(index, words) for index, words in alive if length < len(words)]
        length += 1

    words_of: list[tf.Tensor] = []
    states = [network.initial_state(1)]
    before = 0  # number of the first state of the level above
    for level in levels:
        parents = tf.constant([parent - before for parent, _ in level])
        word = network.embed(tf.constant([last for _, last in level]))
        state, _ = network.cell(word, [tf.gather(states[-1], parents)])
        before = sum(len(part) for part in words_of)
        words_of.append(word)
        states.append(state)
    return _Prefixes(
        word=tf.concat(words_of, axis=0).numpy(),
        recurrent=tf.concat(states[1:], axis=0).numpy(),
        owner=np.array(owner, np.int32),
        target=np.array(target, np.int32),
        sentence=np.array(sentence, np.int32),
    )
