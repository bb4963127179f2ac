"""Hypotheses from rows of image features: the same for the images of a corpus and for anybody's pictures."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from schemas.hypotheses import Hypothesis, ImageHypotheses
from schemas.vocabulary import Vocabulary

if TYPE_CHECKING:
    from model.searches import Decode  # loads TensorFlow, which a driver does without


def decode_rows(
    decode: "Decode",
    vocabulary: Vocabulary,
    image_ids: Sequence[str],
    rows: np.ndarray,
    batch_size: int,
    first: int = 0,
) -> Iterator[ImageHypotheses]:
    """Hypotheses of each image of `rows` (N, D), in order; `first`: the number of the first among all images."""
    for start in range(0, len(rows), batch_size):
        batch = slice(start, start + batch_size)
        for image_id, found in zip(image_ids[batch], decode(rows[batch], first + start), strict=True):
            captions = tuple(Hypothesis(tuple(vocabulary.decode(each.tokens)), each.log_prob) for each in found)
            yield ImageHypotheses(image_id, captions)
