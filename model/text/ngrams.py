"""Counts of n-grams in sentences, for one sentence or as the rows of a table."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

ORDERS = 4  # n-grams of 1 to 4 tokens
Words = Sequence[str]
Ngram = tuple[str, ...]


def ngrams(words: Words, order: int) -> Counter[Ngram]:
    """Count each n-gram of `order` tokens."""
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


class SentenceTable:
    """Sparse matrix of the n-gram counts of N sentences, from which any of them can be compared.

    A row is a sentence, a column an n-gram of 1 to `ORDERS` tokens. Row i has the entries `starts[i]` to
    `starts[i + 1]` of `entry_columns` and `entry_counts`.

    Attributes:
        lengths: Number of tokens of each sentence, int64 (N,).
        orders: Number of tokens of each n-gram, int64 (C,).
        starts: First entry of each row, int64 (N + 1,).
        entry_columns: Column of each entry, int64 (E,), increasing within a row.
        entry_counts: Count of each entry, float64 (E,).
    """

    def __init__(self, sentences: Iterable[Words]):
        """Count the n-grams of all sentences."""
        ids: dict[str, int] = {}
        lengths: list[int] = []
        words: list[int] = []
        for sentence in sentences:
            lengths.append(len(sentence))
            words += [ids.setdefault(word, len(ids)) for word in sentence]
        self.lengths = np.array(lengths, np.int64)
        word = np.array(words, np.int64)
        row = np.repeat(np.arange(len(lengths)), self.lengths)
        left = np.repeat(np.cumsum(self.lengths), self.lengths) - np.arange(len(word))  # tokens up to the end

        column, columns = word, len(ids)
        found, orders = [(row, column)], [np.full(columns, 1)]
        self._ids: dict[str, int] = ids
        self._codes: list[NDArray[np.int64]] = []  # of the n-grams of 2 tokens, of 3, ..., increasing
        for order in range(2, ORDERS + 1):
            begins = np.flatnonzero(left >= order)
            # An n-gram is coded by the n-gram without its last token, and that token.
            codes = column[begins] * len(ids) + word[begins + order - 1]
            distinct, numbers = np.unique(codes, return_inverse=True)
            column = np.full(len(word), -1)
            column[begins] = numbers
            self._codes.append(distinct)
            found.append((row[begins], columns + numbers))
            orders.append(np.full(len(distinct), order))
            columns += len(distinct)
        self.orders = np.concatenate(orders)
        keys = np.concatenate([rows * max(1, columns) + numbers for rows, numbers in found])
        distinct, counts = np.unique(keys, return_counts=True)
        self.entry_columns = distinct % max(1, columns)
        self.entry_counts = counts.astype(np.float64)
        self.starts = np.searchsorted(distinct, np.arange(len(lengths) + 1) * max(1, columns))
        self._column_positions = np.full(columns, -1)  # scratch of `entries`

    def __len__(self) -> int:
        return len(self.lengths)

    def document_frequencies(self, documents: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Count the documents that contain each n-gram.

        Args:
            documents: Rows of each document, int64 arrays; a document is all captions of an image.

        Returns:
            int64 (C,).
        """
        owners = np.repeat(np.arange(len(documents)), [len(rows) for rows in documents])
        rows = np.concatenate([np.empty(0, np.int64), *documents])
        positions, entries = self._entries(rows)
        pairs = np.unique(owners[positions] * max(1, len(self.orders)) + self.entry_columns[entries])
        return np.bincount(pairs % max(1, len(self.orders)), minlength=len(self.orders))

    def columns_in(self, other: "SentenceTable") -> NDArray[np.int64]:
        """Return the column of each n-gram in another table, int64 (C,); -1 where it has none."""
        word = np.array([other._ids.get(word, -1) for word in self._ids], np.int64)
        column, columns = word, len(other._ids)
        places = [column]
        for codes, known in zip(self._codes, other._codes, strict=True):
            shorter, last = np.divmod(codes, max(1, len(self._ids)))
            both = (column[shorter] >= 0) & (word[last] >= 0)
            sought = np.where(both, column[shorter] * len(other._ids) + word[last], -1)
            numbers = np.searchsorted(known, sought)
            column = np.where(np.append(known, -2)[numbers] == sought, numbers, -1)
            places.append(np.where(column >= 0, columns + column, -1))
            columns += len(known)
        return np.concatenate(places)

    def counts(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Extract the dense counts of some rows.

        Args:
            rows: Row indices int64 (R,).

        Returns:
            Counts float64 (R, K), and the K columns with nonzero counts, int64, in increasing order.
        """
        owners, entries = self._entries(rows)
        columns, places = np.unique(self.entry_columns[entries], return_inverse=True)
        table = np.zeros((len(rows), len(columns)))
        table[owners, places] = self.entry_counts[entries]
        return table, columns

    def entries(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Extract the entries of some rows in some columns, row by row.

        Args:
            rows: Row indices int64 (R,).
            columns: Column indices int64 (K,).

        Returns:
            Of each entry the position of its row in `rows`, int64, the position of its column in `columns`, int64, and
            its count, float64.
        """
        owners, entries = self._entries(rows)
        self._column_positions[columns] = np.arange(len(columns))
        places = self._column_positions[self.entry_columns[entries]]
        self._column_positions[columns] = -1
        asked = places >= 0
        return owners[asked], places[asked], self.entry_counts[entries[asked]]

    def _entries(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the entries of some rows, row by row: positions in `rows` and indices of the entries, int64."""
        sizes = self.starts[rows + 1] - self.starts[rows]
        owners = np.repeat(np.arange(len(rows)), sizes)
        return owners, np.arange(len(owners)) + (self.starts[rows] - (np.cumsum(sizes) - sizes))[owners]
