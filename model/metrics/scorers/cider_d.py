"""CIDEr-D (Vedantam et al. 2015) as coco-caption computes it, with the references' own document frequencies."""

from collections.abc import Mapping, Sequence

from pycocoevalcap.cider.cider import Cider

NAME, NEEDS_JAVA = "CIDEr-D", False


def score(
    references: Mapping[str, Sequence[str]], hypotheses: Mapping[str, Sequence[str]]
) -> tuple[float, list[float]]:
    """CIDEr-D of the corpus, which is the mean over images, and of each image, in 0..10."""
    value, each = Cider().compute_score(references, hypotheses)
    return float(value), [float(one) for one in each]
