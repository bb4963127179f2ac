"""Consensus reranking of 1,000 images x 10 hypotheses x 300 references, against mRNN-CR's pairwise algorithm."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.machine import describe_run
from benchmarks.timing import compare_rounds, print_head
from model.reranking.consensus import consensus_scores, rerank_order
from model.reranking.similarity import LENGTH_DEVIATION, BleuSimilarity, CiderSimilarity
from model.text.ngrams import ORDERS, Ngram, SentenceTable, Words, ngrams

IMAGES, HYPOTHESES, TRAINING_IMAGES, NEIGHBORS, M = 1000, 10, 6000, 60, 125
PAIRWISE_IMAGES = 2


def run() -> None:
    """Compare images a second, the making of the table included; scores and order must be the same."""
    print(describe_run("python -m benchmarks reranking"))
    print_head("reranking", "shared n-grams", "pairwise", "ratio")
    random = np.random.default_rng(0)
    words = [f"w{index}" for index in range(3000)]
    shares = 1.0 / np.arange(1, 3001)

    def sentences(count: int) -> list[list[str]]:
        drawn = random.choice(words, (count, 15), p=shares / shares.sum())
        return [list(row[:length]) for row, length in zip(drawn, random.integers(7, 15, count), strict=True)]

    training = [sentences(5) for _ in range(TRAINING_IMAGES)]
    captions = [caption for image in training for caption in image]
    hypotheses = [sentences(HYPOTHESES) for _ in range(IMAGES)]
    nearest = [random.choice(TRAINING_IMAGES, NEIGHBORS, replace=False) for _ in range(IMAGES)]
    rows = [(5 * images[:, None] + np.arange(5)).ravel() for images in nearest]
    documents = list(np.arange(len(captions)).reshape(TRAINING_IMAGES, -1))
    weights = pairwise_weights(training)
    for name, make, pairwise in (
        ("CIDEr", lambda table: CiderSimilarity(table, documents), lambda h, r: pairwise_cider(h, r, weights)),
        ("BLEU", BleuSimilarity, pairwise_bleu),
    ):
        fast: list[np.ndarray] = []
        slow: list[np.ndarray] = []

        def by_table() -> None:
            table = SentenceTable([*captions, *(hypothesis for own in hypotheses for hypothesis in own)])
            similarity = make(table)  # noqa: B023  (called at once)
            for image, references in enumerate(rows):
                own = len(captions) + HYPOTHESES * image + np.arange(HYPOTHESES)
                fast.append(consensus_scores(similarity(own, references), M))  # noqa: B023

        def by_pairs() -> None:
            for own, references in list(zip(hypotheses, rows, strict=True))[:PAIRWISE_IMAGES]:
                pairs = [[pairwise(h, captions[row]) for row in references] for h in own]  # noqa: B023
                slow.append(consensus_scores(np.array(pairs), M))  # noqa: B023

        compare_rounds(f"{name}, images/s", (by_table, IMAGES), (by_pairs, PAIRWISE_IMAGES))
        for quick, plain in zip(fast, slow[:PAIRWISE_IMAGES], strict=False):
            np.testing.assert_allclose(quick, plain, atol=1e-9 * M)
            np.testing.assert_array_equal(rerank_order(quick), rerank_order(plain))


def pairwise_weights(images: Sequence[Sequence[Words]]) -> Callable[[Ngram], float]:
    """Return ln(images / images whose captions contain the n-gram)."""
    counts: Counter[Ngram] = Counter()
    for captions in images:
        counts.update({gram for words in captions for order in range(1, ORDERS + 1) for gram in ngrams(words, order)})
    return lambda gram: math.log(len(images)) - math.log(max(1, counts[gram]))


def pairwise_cider(hypothesis: Words, reference: Words, weight: Callable[[Ngram], float]) -> float:
    """Compare one pair, computing both vectors."""
    total = 0.0
    for order in range(1, ORDERS + 1):
        h, r = (
            {gram: count * weight(gram) for gram, count in ngrams(side, order).items()}
            for side in (hypothesis, reference)
        )
        norms = math.sqrt(sum(v**2 for v in h.values())) * math.sqrt(sum(v**2 for v in r.values()))
        if norms > 0:
            total += sum(min(value, r.get(gram, 0.0)) * r.get(gram, 0.0) for gram, value in h.items()) / norms
    difference = len(hypothesis) - len(reference)
    return 10.0 / 4 * total * math.exp(-(difference**2) / (2 * LENGTH_DEVIATION**2))


def pairwise_bleu(hypothesis: Words, reference: Words) -> float:
    """Compare one pair, counting all n-grams."""
    total = 0.0
    for order in range(1, ORDERS + 1):
        h, r = ngrams(hypothesis, order), ngrams(reference, order)
        matches = sum(min(count, r[gram]) for gram, count in h.items())
        if matches:
            precision, recall = matches / h.total(), matches / r.total()
            total += 2 * precision * recall / (precision + recall)
    return total / 4
