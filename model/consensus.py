"""Consensus reranking (the paper's Section 8): the hypothesis that agrees most with the captions of similar images."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ORDERS = 4  # n-grams of 1 to 4 words
LENGTH_DEVIATION = 6.0  # of CIDEr-D's Gaussian length penalty, in n-grams
Words = Sequence[str]
Ngram = tuple[str, ...]


def ngrams(words: Words, order: int) -> Counter[Ngram]:
    """How often each n-gram of `order` words occurs."""
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


@dataclass(frozen=True)
class DocumentFrequencies:
    """In how many documents each n-gram occurs; a document is all captions of an image."""

    documents: int
    counts: Mapping[Ngram, int]

    @classmethod
    def of(cls, images: Iterable[Sequence[Words]]) -> "DocumentFrequencies":
        """Counts over the tokenised captions of each image."""
        counts: Counter[Ngram] = Counter()
        documents = 0
        for captions in images:
            documents += 1
            counts.update(
                {gram for words in captions for order in range(1, ORDERS + 1) for gram in ngrams(words, order)}
            )
        return cls(documents, counts)

    def weight(self, gram: Ngram) -> float:
        """ln(documents) - ln(max(1, documents with the n-gram))."""
        return math.log(max(1, self.documents)) - math.log(max(1, self.counts.get(gram, 0)))


class CiderSimilarity:
    """Pairwise CIDEr-D of sentences, as in mRNN-CR: 0..10.

    For n = 1..4 the clipped, tf-idf weighted dot product over both norms, times exp(-d^2 / 2 sigma^2) of the difference
    d of the numbers of bigrams; mean over n, times 10 (Vedantam et al. 2015). Vectors of a caption are made once.
    """

    def __init__(self, frequencies: DocumentFrequencies):
        """`frequencies` weigh the n-grams."""
        self._frequencies = frequencies
        self._vectors: dict[tuple[str, ...], list[tuple[dict[Ngram, float], float]]] = {}

    def __call__(self, hypotheses: Sequence[Words], references: Sequence[Words]) -> np.ndarray:
        """Similarity of each hypothesis with each reference: float64 (hypotheses, references)."""
        total = np.zeros((len(hypotheses), len(references)))
        for order in range(ORDERS):
            of_hypotheses = [self._vector(words)[order] for words in hypotheses]
            of_references = [self._vector(words)[order] for words in references]
            # Only n-grams of a hypothesis can add to the clipped dot product.
            grams = list(dict.fromkeys(gram for vector, _ in of_hypotheses for gram in vector))
            h = _matrix([vector for vector, _ in of_hypotheses], grams)
            r = _matrix([vector for vector, _ in of_references], grams)
            dots = np.einsum("hrg,rg->hr", np.minimum(h[:, None, :], r[None, :, :]), r)
            norms = np.outer([norm for _, norm in of_hypotheses], [norm for _, norm in of_references])
            total += np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
        bigrams = [np.array([max(0, len(words) - 1) for words in side]) for side in (hypotheses, references)]
        difference = bigrams[0][:, None] - bigrams[1][None, :]
        penalty: np.ndarray = np.exp(-(difference**2) / (2 * LENGTH_DEVIATION**2))
        return 10.0 / ORDERS * total * penalty

    def _vector(self, words: Words) -> list[tuple[dict[Ngram, float], float]]:
        key = tuple(words)
        if key not in self._vectors:
            orders = []
            for order in range(1, ORDERS + 1):
                vector = {gram: n * self._frequencies.weight(gram) for gram, n in ngrams(words, order).items()}
                orders.append((vector, math.sqrt(sum(value**2 for value in vector.values()))))
            self._vectors[key] = orders
        return self._vectors[key]


def bleu_similarity(hypotheses: Sequence[Words], references: Sequence[Words]) -> np.ndarray:
    """The BLEU similarity of mRNN-CR, 0..1: float64 (hypotheses, references).

    Mean over n = 1..4 of F1 of the clipped n-gram matches; no brevity penalty. An order of which a sentence has no
    n-gram counts 0 (mRNN-CR gives 0 on all orders to sentences under four words; that is a slip and not followed).
    """
    total = np.zeros((len(hypotheses), len(references)))
    for order in range(1, ORDERS + 1):
        of_hypotheses = [ngrams(words, order) for words in hypotheses]
        of_references = [ngrams(words, order) for words in references]
        grams = list(dict.fromkeys(gram for counts in of_hypotheses for gram in counts))
        h, r = _matrix(of_hypotheses, grams), _matrix(of_references, grams)
        matches = np.minimum(h[:, None, :], r[None, :, :]).sum(axis=2)
        # F1 = 2PR / (P + R) with P = matches / |h| and R = matches / |r|
        sizes = np.add.outer([counts.total() for counts in of_hypotheses], [counts.total() for counts in of_references])
        total += np.divide(2.0 * matches, sizes, out=np.zeros(sizes.shape), where=sizes > 0)
    return total / ORDERS


def _matrix(vectors: Sequence[Mapping[Ngram, float]], grams: Sequence[Ngram]) -> np.ndarray:
    """The values of the n-grams in each vector: (vectors, grams), also where either is empty."""
    rows = [[vector.get(gram, 0) for gram in grams] for vector in vectors]
    return np.array(rows).reshape(len(vectors), len(grams))


def consensus_scores(similarity: np.ndarray, m: int) -> np.ndarray:
    """Sum of the m largest similarities of each hypothesis (all, if there are fewer): (H, R) -> float64 (H,)."""
    scores: np.ndarray = np.sort(similarity, axis=1)[:, ::-1][:, :m].sum(axis=1)
    return scores


def rerank_order(scores: np.ndarray) -> np.ndarray:
    """Indices of hypotheses by falling score; equal scores keep their order, the likelier first."""
    return np.argsort(-scores, kind="stable")
