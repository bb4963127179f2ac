"""Options of consensus reranking and of the search for neighbors."""

from dataclasses import dataclass, fields
from enum import StrEnum

from schemas.errors import ConfigurationError
from schemas.options import check_choices, option

BLEU_WEIGHT = 4.0  # of `cider+bleu`: BLEU goes to 1 and CIDEr-D to 10, but of different captions they are closer


class Metric(StrEnum):
    """Distance between features."""

    EUCLIDEAN = "euclidean"
    COSINE = "cosine"


class SimilarityName(StrEnum):
    """Similarity of two captions."""

    CIDER = "cider"
    BLEU = "bleu"
    CIDER_BLEU = "cider+bleu"
    BLEU_COMPAT = "bleu-compat"


METRICS = tuple(each.value for each in Metric)
SIMILARITIES = tuple(each.value for each in SimilarityName)


class RerankingMethod(StrEnum):
    """Scoring method of the hypotheses of an image."""

    CONSENSUS = "consensus"  # with the captions of the nearest training images (the paper)
    KERNEL_RIDGE = "kernel-ridge"  # with the captions of all training images, weighted by regression
    SELF_CONSENSUS = "self-consensus"  # with the other hypotheses of the image
    TUNED = "tuned"  # as TuneReranking finds best on the validation split


@dataclass(frozen=True)
class RerankingConfig:
    """Options of the comparison of hypotheses with references."""

    similarity: str = option("cider", "Similarity of two captions.", choices=SIMILARITIES)
    method: RerankingMethod = option(
        RerankingMethod.CONSENSUS,
        "Score of a hypothesis: similarity to the captions of the nearest training images (consensus), to those of all "
        "training images weighted by kernel ridge regression (kernel-ridge), to the image's other hypotheses "
        "(self-consensus), or the setting that TuneReranking finds best on the validation split (tuned).",
        choices=tuple(RerankingMethod),
    )

    def __post_init__(self) -> None:
        check_choices(self)


@dataclass(frozen=True)
class ConsensusConfig:
    """Sizes of the consensus."""

    k: int = option(60, "Number of nearest training images whose captions are the references.")
    m_cider: int = option(125, "Number of largest similarities that are summed, for cider and cider+bleu.")
    m_bleu: int = option(175, "Number of largest similarities that are summed, for bleu and bleu-compat.")


@dataclass(frozen=True)
class KernelRidgeConfig:
    """Kernel ridge regression of the similarity on the features of the image."""

    gamma: float = option(1.0, "Sharpness of the kernel exp(gamma (cos - 1)) of `kernel-ridge`.")
    regularization: float = option(1.0, "Ridge penalty lambda of `kernel-ridge`.")


@dataclass(frozen=True)
class RerankingGrid:
    """Settings of reranking that TuneReranking compares."""

    feature_kinds: tuple[str, ...] = option(("original", "refined"), "Features by which images are compared.")
    similarities: tuple[str, ...] = option(("cider", "bleu"), "Similarities of two captions.")
    metrics: tuple[str, ...] = option(("euclidean", "cosine"), "Distances between features, of consensus.")
    ks: tuple[int, ...] = option((10, 20, 40, 60, 90, 120, 200), "Numbers of nearest images, of consensus.")
    ms: tuple[int, ...] = option((25, 50, 75, 125, 175, 250), "Numbers of similarities that are summed, of consensus.")
    gammas: tuple[float, ...] = option((1.0,), "Sharpness values of the kernel, of kernel-ridge consensus.")
    regularizations: tuple[float, ...] = option((0.3, 1.0), "Ridge penalties, of kernel-ridge consensus.")

    def __post_init__(self) -> None:
        empty = [each.name for each in fields(self) if not getattr(self, each.name)]
        if empty:
            raise ConfigurationError(f"The grid of TuneReranking is empty; set {', '.join(empty)}.")


@dataclass(frozen=True)
class NeighborConfig:
    """Options of the search for nearest neighbors."""

    metric: str = option("euclidean", "Distance between feature vectors (paper: euclidean).", choices=METRICS)
    count: int = option(1000, "Number of neighbors kept per image.")

    def __post_init__(self) -> None:
        check_choices(self)
        if self.count < 1:
            raise ConfigurationError(f"count is {self.count}; set it to 1 or more.")
