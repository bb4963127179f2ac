"""Naive decoding by definition, the reference of the real one."""

from collections import Counter
from functools import cache

import numpy as np

from schemas.vocabulary import BOS


def next_log_probs(network, images):
    """ln P(next word | caption so far) of each image, a list of functions of the caption; a word at a time."""
    projected = network.project_image(images)

    @cache
    def after(caption):
        state = after(caption[:-1])[1] if caption else network.initial_state(len(images), projected)
        words = np.full(len(images), caption[-1] if caption else BOS)
        logits, state = network.step(words, state, projected)
        logits = logits.numpy().astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), state

    return [lambda caption, image=image: after(caption)[0][image] for image in range(len(images))]


def may_follow(caption, word, constraints):
    """Return whether the constraints allow a token (or the end token) after a caption."""
    if word == BOS:
        return len(caption) >= constraints.min_length
    n = constraints.no_repeat_ngram
    seen = [caption[start : start + n] for start in range(len(caption) - n + 1)] if n else []
    return word not in constraints.forbidden and (*caption, word)[-n:] not in seen


def rank(caption, score, max_length, options):
    predicted = min(len(caption) + 1, max_length)  # a caption that was cut off has no end sign
    return score / ((5 + predicted) / 6) ** options.length_penalty


def plain_beam_search(log_probs, width, max_length, constraints, options):
    """Search as `BeamSearch` describes, for one image, without early stopping: (caption, ln P) pairs, best first."""
    share = width // options.groups
    live = [[((), 0.0, 0.0)] for _ in range(options.groups)]  # caption, score, ln P
    finished = [[] for _ in range(options.groups)]
    for _ in range(max_length):
        uses = Counter()
        for group, hypotheses in enumerate(live):
            continuations = sorted(
                (-(score + log_prob - options.diversity * uses[word]), parent, word, total + log_prob)
                for parent, (caption, score, total) in enumerate(hypotheses)
                for word, log_prob in enumerate(log_probs(caption))
                if may_follow(caption, word, constraints)
            )
            finished[group] += [
                (hypotheses[parent][0], -loss, total)
                for loss, parent, word, total in continuations[:share]
                if word == BOS
            ]
            others = [each for each in continuations if each[2] != BOS][:share]
            live[group] = [((*hypotheses[parent][0], word), -loss, total) for loss, parent, word, total in others]
            uses.update(word for _, _, word, _ in others)
    found = {}
    for ended, cut_off in zip(finished, live, strict=True):
        best = sorted(ended + cut_off, key=lambda each: -rank(each[0], each[1], max_length, options))[:share]
        found |= {caption: total for caption, _, total in best}
    return sorted(found.items(), key=lambda each: -rank(*each, max_length, options))
