"""Tokenized captions and their references, the input of all scorers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.text.ngrams import SentenceTable


def split_tokens(text: str) -> tuple[str, ...]:
    """Return the tokens of a text; they may contain no-break spaces."""
    return tuple(text.split(" ")) if text else ()


@dataclass(frozen=True)
class TokenizedCaptions:
    """One caption per image and its references; a text is its tokens joined by blanks.

    Attributes:
        captions: Text of each image, N in all.
        references: One or more texts of each image, in the same order.
    """

    captions: Sequence[str]
    references: Sequence[Sequence[str]]

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """Image index of each reference: int64 (R,), increasing."""
        return np.repeat(np.arange(len(self.references)), [len(texts) for texts in self.references])

    @cached_property
    def table(self) -> SentenceTable:
        """N-grams: rows 0..N - 1 are the captions, rows N..N + R - 1 the references."""
        texts = [*self.captions, *(text for own in self.references for text in own)]
        return SentenceTable(text.split() for text in texts)  # also at no-break spaces, as in coco-caption

    @cached_property
    def matches(self) -> "Matches":
        """N-grams that a reference shares with the caption of its image."""
        return Matches(self)


class Matches:
    """N-grams that references share with the captions of their images, one entry per reference and n-gram.

    Attributes:
        reference: Index of the reference: int64 (E,).
        column: Column of the n-gram in the table: int64 (E,).
        in_reference: Count in the reference: float64 (E,).
        entry: Entry of the caption in the table: int64 (E,); `table.entry_counts[entry]` is its count.
        entry_image: Image of each entry of the captions: int64 (H,); entries 0..H - 1 of the table are theirs.
    """

    def __init__(self, captions: TokenizedCaptions):
        """Join the entries of captions and references by image and n-gram."""
        table, images = captions.table, len(captions.captions)
        columns, end = max(1, len(table.orders)), int(table.starts[images])
        row = np.repeat(np.arange(len(table)), np.diff(table.starts))
        self.entry_image = row[:end]
        keys = self.entry_image * columns + table.entry_columns[:end]  # increasing
        reference = row[end:] - images
        wanted = captions.owners[reference] * columns + table.entry_columns[end:]
        entry = np.searchsorted(keys, wanted)
        found = np.flatnonzero(np.append(keys, -1)[entry] == wanted)
        self.entry, self.reference = entry[found], reference[found]
        self.column, self.in_reference = table.entry_columns[end + found], table.entry_counts[end + found]
