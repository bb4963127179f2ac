"""Pairwise similarities of sentences for consensus reranking (the paper's Section 8): CIDEr-D and mRNN-CR's BLEU.

Both clip the count of an n-gram at its count in the other sentence. Only n-grams that two sentences share matter, so
that the few entries of a reference in the columns of an image's hypotheses suffice.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.text.ngrams import ORDERS, SentenceTable

LENGTH_DEVIATION = 6.0  # of CIDEr-D's Gaussian length penalty, in n-grams


class Similarity(Protocol):
    """Interface of similarities of the sentences of a table."""

    def __call__(self, hypotheses: NDArray[np.int64], references: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compare sentences pairwise.

        Args:
            hypotheses: Row indices int64 (H,).
            references: Row indices int64 (R,).

        Returns:
            Similarities float64 (H, R).
        """
        ...

    def weighted_sums(
        self, hypotheses: NDArray[np.int64], references: NDArray[np.int64], weights: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Compute `self(hypotheses, references) @ weights.T` without that matrix.

        Args:
            hypotheses: Row indices int64 (H,).
            references: Row indices int64 (R,).
            weights: Weights of the references (S, R).

        Returns:
            Weighted sums of similarities, float64 (H, S).
        """
        ...


class NgramWeights:
    """CIDEr's weights of n-grams: ln(documents) - ln(max(1, documents that contain it))."""

    def __init__(self, table: SentenceTable, documents: Sequence[NDArray[np.int64]]):
        """Compute document frequencies.

        Args:
            table: Table of the documents' sentences.
            documents: Rows of each document, int64 arrays.
        """
        self._table, self._of_any = table, np.log(max(1, len(documents)))
        frequencies = np.maximum(1, table.document_frequencies(documents))
        self._weights: NDArray[np.float64] = self._of_any - np.log(frequencies)

    def of(self, table: SentenceTable) -> NDArray[np.float64]:
        """Return the weights of the n-grams of this or another table, float64 (C,)."""
        if table is self._table:
            return self._weights
        # An n-gram that is in no document has column -1, which selects the last weight.
        weights: NDArray[np.float64] = np.append(self._weights, self._of_any)[table.columns_in(self._table)]
        return weights


class CiderSimilarity:
    """Pairwise CIDEr-D, 0..10.

    For n = 1..4 the clipped, tf-idf weighted dot product over both norms, times exp(-d^2 / 2 sigma^2) of the difference
    d of the numbers of bigrams; mean over n, times 10 (Vedantam et al. 2015).
    """

    def __init__(self, table: SentenceTable, documents: "Sequence[NDArray[np.int64]] | NgramWeights"):
        """Compute weights and norms.

        Args:
            table: Table of hypotheses and references.
            documents: Rows of each document in this table, or weights that were computed from another table.
        """
        self._table = table
        weights = documents if isinstance(documents, NgramWeights) else NgramWeights(table, documents)
        self._weights = weights.of(table)
        owners = np.repeat(np.arange(len(table)), np.diff(table.starts))
        squares = (table.entry_counts * self._weights[table.entry_columns]) ** 2
        places = owners * (ORDERS + 1) + table.orders[table.entry_columns]
        norms = np.sqrt(np.bincount(places, squares, len(table) * (ORDERS + 1)).reshape(-1, ORDERS + 1))
        self._scales = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)  # (sentences, order)

    def __call__(self, hypotheses: NDArray[np.int64], references: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `Similarity`."""
        counts, columns = self._table.counts(hypotheses)
        owners, places, others = self._table.entries(references, columns)
        orders = self._table.orders[columns]
        of_h = self._weights[columns] * self._scales[hypotheses][:, orders]
        of_r = self._weights[columns[places]] * self._scales[references[owners], orders[places]]
        clipped = np.minimum(counts[:, places], others)
        total = _sum_by_owner(clipped * of_h[:, places] * (others * of_r), owners, len(references))
        bigrams = np.maximum(0, self._table.lengths - 1)
        difference = np.subtract.outer(bigrams[hypotheses], bigrams[references])
        penalty = np.exp(-(difference**2) / (2 * LENGTH_DEVIATION**2))
        similarities: NDArray[np.float64] = 10.0 / ORDERS * total * penalty
        return similarities

    def weighted_sums(
        self, hypotheses: NDArray[np.int64], references: NDArray[np.int64], weights: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """See `Similarity`."""
        shared = _SharedNgrams(self._table, hypotheses, references)
        orders = self._table.orders[shared.columns]
        of_h = self._weights[shared.columns] * self._scales[hypotheses][:, orders]
        rows = references[shared.owners]
        of_r = self._weights[shared.columns[shared.places]] * self._scales[rows, orders[shared.places]]
        bigrams = np.maximum(0, self._table.lengths[hypotheses] - 1)
        difference = np.subtract.outer(bigrams, np.maximum(0, shared.lengths - 1))
        penalty = 10.0 / ORDERS * np.exp(-(difference**2) / (2 * LENGTH_DEVIATION**2))
        return shared.weighted_sums(of_h, shared.counts_in_references * of_r, [penalty] * ORDERS, weights)


class BleuSimilarity:
    """The BLEU similarity of mRNN-CR, 0..1: mean over n = 1..4 of the F1 of clipped n-gram matches, no brevity penalty.

    An order without n-grams in a sentence counts 0. With `compat`, sentences of fewer than four tokens score 0 on all
    orders, as in mRNN-CR, whose test of the length is an error.
    """

    def __init__(self, table: SentenceTable, compat: bool = False):
        """Compare sentences of a table.

        Args:
            table: Table of hypotheses and references.
            compat: Whether to reproduce mRNN-CR's error.
        """
        self._table, self._compat = table, compat

    def __call__(self, hypotheses: NDArray[np.int64], references: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `Similarity`."""
        counts, columns = self._table.counts(hypotheses)
        owners, places, others = self._table.entries(references, columns)
        lengths, orders = self._table.lengths, self._table.orders[columns[places]]
        # F1 = 2PR / (P + R) with P = matches / |h| and R = matches / |r|, the numbers of n-grams of that order
        sizes = np.maximum(0, lengths[hypotheses][:, None] - orders + 1) + (lengths[references[owners]] - orders + 1)
        total = _sum_by_owner(2.0 * np.minimum(counts[:, places], others) / sizes, owners, len(references))
        if self._compat:
            total *= np.logical_and.outer(lengths[hypotheses] >= ORDERS, lengths[references] >= ORDERS)
        return total / ORDERS

    def weighted_sums(
        self, hypotheses: NDArray[np.int64], references: NDArray[np.int64], weights: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """See `Similarity`."""
        shared = _SharedNgrams(self._table, hypotheses, references)
        lengths = self._table.lengths[hypotheses]
        factors = []
        for order in range(1, ORDERS + 1):
            sizes = np.add.outer(np.maximum(0, lengths - order + 1), np.maximum(0, shared.lengths - order + 1))
            factors.append(np.divide(2.0 / ORDERS, sizes, out=np.zeros(sizes.shape), where=sizes > 0))
            if self._compat:
                factors[-1] *= np.logical_and.outer(lengths >= ORDERS, shared.lengths >= ORDERS)
        return shared.weighted_sums(np.ones(shared.counts.shape), np.ones(len(shared.owners)), factors, weights)


class SumSimilarity:
    """Weighted sum of similarities."""

    def __init__(self, *parts: tuple[float, Similarity]):
        """Combine similarities of one table, each with its weight."""
        self._parts = parts

    def __call__(self, hypotheses: NDArray[np.int64], references: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `Similarity`."""
        shape = (len(hypotheses), len(references))
        return sum((weight * part(hypotheses, references) for weight, part in self._parts), np.zeros(shape))

    def weighted_sums(
        self, hypotheses: NDArray[np.int64], references: NDArray[np.int64], weights: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """See `Similarity`."""
        sums = (weight * part.weighted_sums(hypotheses, references, weights) for weight, part in self._parts)
        return sum(sums, np.zeros((len(hypotheses), len(weights))))


class _SharedNgrams:
    """N-grams that some hypotheses and references of a table share, with references grouped by their length.

    A similarity is a sum over shared n-grams, times a factor that depends on both lengths only. References of a length
    that have an n-gram equally often are therefore added before they are compared with a hypothesis.

    Attributes:
        counts: Counts of the n-grams of the hypotheses: float64 (H, C).
        columns: Their columns in the table: int64 (C,).
        owners, places, counts_in_references: Entries of the references: positions in `references` and in `columns`, and
            counts, (E,) each.
        lengths: Different lengths of the references, increasing: int64 (L,).
    """

    def __init__(self, table: SentenceTable, hypotheses: NDArray[np.int64], references: NDArray[np.int64]):
        self.counts, self.columns = table.counts(hypotheses)
        self.owners, self.places, self.counts_in_references = table.entries(references, self.columns)
        self.lengths, self._groups = np.unique(table.lengths[references], return_inverse=True)
        self._orders = table.orders[self.columns]

    def weighted_sums(
        self,
        of_h: NDArray[np.float64],
        of_r: NDArray[np.float64],
        factors: Sequence[NDArray[np.float64]],
        weights: NDArray[np.floating],
    ) -> NDArray[np.float64]:
        """Sum clipped counts over shared n-grams and references.

        Args:
            of_h: Factor of an n-gram in a hypothesis, (H, C).
            of_r: Factor of each entry of the references, (E,).
            factors: Factor of both lengths for each order, (H, L).
            weights: Weights of the references, (S, R).

        Returns:
            float64 (H, S).
        """
        sums = np.zeros((len(self.counts), len(weights)))
        # min(a, b) is the number of t from 1 on with a >= t and b >= t; few n-grams occur twice in a hypothesis.
        for t in range(1, int(self.counts.max(initial=0)) + 1):
            kept = np.flatnonzero((self.counts >= t).any(axis=0))
            place_of = np.full(len(self.columns), -1)
            place_of[kept] = np.arange(len(kept))
            enough = (self.counts_in_references >= t) & (place_of[self.places] >= 0)
            owners, values, shape = self.owners[enough], of_r[enough], (len(self.lengths), len(kept))
            cells = self._groups[owners] * len(kept) + place_of[self.places[enough]]
            has_enough = (self.counts[:, kept] >= t) * of_h[:, kept]
            of_each_order = [np.flatnonzero(self._orders[kept] == order) for order in range(1, ORDERS + 1)]
            sides = [has_enough[:, of_order] for of_order in of_each_order]
            for setting, own in enumerate(weights):
                profile = np.bincount(cells, own[owners] * values, shape[0] * shape[1]).reshape(shape)
                for side, of_order, factor in zip(sides, of_each_order, factors, strict=True):
                    sums[:, setting] += (side @ profile[:, of_order].T * factor).sum(axis=1)
        return sums


def _sum_by_owner(values: NDArray[np.float64], owners: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Sum the columns (H, E) of `values` by their owner, 0..`count` - 1 and increasing: (H, count)."""
    sums = np.zeros((len(values), count))
    if len(owners):
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        sums[:, owners[starts]] = np.add.reduceat(values, starts, axis=1)
    return sums
