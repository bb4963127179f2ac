"""Options of consensus reranking and of the search for neighbors."""

from dataclasses import dataclass

from schemas.errors import ConfigurationError
from schemas.options import check_choices, option

METRICS = ("euclidean", "cosine")


@dataclass(frozen=True)
class NeighborConfig:
    """Options of the search for nearest neighbors."""

    metric: str = option("euclidean", "Distance between feature vectors (paper: euclidean).", choices=METRICS)
    count: int = option(1000, "Number of neighbors kept per image.")

    def __post_init__(self) -> None:
        check_choices(self)
        if self.count < 1:
            raise ConfigurationError(f"count is {self.count}; set it to 1 or more.")
