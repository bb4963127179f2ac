"""ROUGE-L (Lin 2004) as coco-caption computes it, with beta = 1.2."""

from collections.abc import Mapping, Sequence

from pycocoevalcap.rouge.rouge import Rouge

NAME, NEEDS_JAVA = "ROUGE-L", False


def score(
    references: Mapping[str, Sequence[str]], hypotheses: Mapping[str, Sequence[str]]
) -> tuple[float, list[float]]:
    """ROUGE-L of the corpus, which is the mean over images, and of each image, in 0..1."""
    value, each = Rouge().compute_score(references, hypotheses)
    return float(value), [float(one) for one in each]
