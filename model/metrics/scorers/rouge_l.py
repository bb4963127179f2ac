"""ROUGE-L (Lin 2004) as coco-caption computes it, with beta = 1.2."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from model.metrics.bootstrap import Statistics, mean_of
from model.metrics.tokenized import TokenizedCaptions

NAMES, VERSION, NEEDS_JAVA = ("ROUGE-L",), "coco-caption", False
_BETA = 1.2


def score(captions: TokenizedCaptions) -> dict[str, Statistics]:
    """Return the statistics of ROUGE-L, a mean over images in 0..1."""
    pairs = zip(captions.captions, captions.references, strict=True)
    return {"ROUGE-L": mean_of(np.array([_of_image(caption, references) for caption, references in pairs]))}


def _of_image(caption: str, references: Sequence[str]) -> float:
    """F-measure of the best precision and the best recall, which may come from different references."""
    tokens = caption.split(" ")  # an empty text is one empty token, as in coco-caption
    positions: defaultdict[str, int] = defaultdict(int)
    for position, token in enumerate(tokens):
        positions[token] |= 1 << position
    precision = recall = 0.0
    for reference in references:
        others = reference.split(" ")
        common = _common_length(positions, len(tokens), others)
        precision, recall = max(precision, common / len(tokens)), max(recall, common / len(others))
    if not precision:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _common_length(positions: defaultdict[str, int], length: int, others: Sequence[str]) -> int:
    """Length of the longest common subsequence, bit-parallel (Hyyrö 2004).

    Args:
        positions: Positions of each token in one sentence, as the bits of a number.
        length: Length of that sentence.
        others: Tokens of the other sentence.
    """
    everywhere = (1 << length) - 1
    unmatched = everywhere
    for token in others:
        matched = unmatched & positions.get(token, 0)
        unmatched = ((unmatched + matched) | (unmatched - matched)) & everywhere
    return length - unmatched.bit_count()
