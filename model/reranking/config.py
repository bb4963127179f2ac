"""Options of consensus reranking and of the search for neighbors."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.errors import ConfigurationError
from schemas.options import check_choices, option

METRICS = ("euclidean", "cosine")
SIMILARITIES = ("cider", "bleu", "bleu-compat")


class ReferenceSource(StrEnum):
    """Captions that hypotheses are compared with."""

    NEIGHBORS = "neighbors"  # of the nearest training images
    SELF = "self"  # the other hypotheses of the image
    TUNED = "tuned"  # what TuneReranking finds best on the validation split


@dataclass(frozen=True)
class RerankingConfig:
    """How hypotheses are compared with references."""

    similarity: str = option("cider", "Similarity of two captions.", choices=SIMILARITIES)
    against: ReferenceSource = option(
        ReferenceSource.NEIGHBORS,
        "References: captions of the nearest training images (neighbors), the image's other hypotheses (self), or the "
        "setting that TuneReranking finds best on the validation split (tuned).",
        choices=tuple(ReferenceSource),
    )

    def __post_init__(self) -> None:
        check_choices(self)


@dataclass(frozen=True)
class ConsensusConfig:
    """Sizes of the consensus."""

    k: int = option(60, "Number of nearest training images whose captions are the references.")
    m_cider: int = option(125, "Number of largest similarities that are summed, for cider.")
    m_bleu: int = option(175, "Number of largest similarities that are summed, for bleu and bleu-compat.")


@dataclass(frozen=True)
class NeighborConfig:
    """Options of the search for nearest neighbors."""

    metric: str = option("euclidean", "Distance between feature vectors (paper: euclidean).", choices=METRICS)
    count: int = option(1000, "Number of neighbors kept per image.")

    def __post_init__(self) -> None:
        check_choices(self)
        if self.count < 1:
            raise ConfigurationError(f"count is {self.count}; set it to 1 or more.")
