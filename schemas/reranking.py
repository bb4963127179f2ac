"""The `grid.json` artifact of TuneReranking: how each setting of consensus reranking scores on the validation split."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError
from schemas.io.files import read_json, write_json

NO_FEATURES = "none (self-consensus)"


@dataclass(frozen=True)
class RerankingSetting:
    """How consensus reranking orders hypotheses.

    similarity: `cider`, `bleu` or `bleu-compat`; features: by which the nearest images are found, `refined`, `original`
    or NO_FEATURES, where hypotheses are compared with one another and k and m are 0; metric: their distance; k: nearest
    images; m: largest similarities that count.
    """

    similarity: str
    features: str = NO_FEATURES
    metric: str = "none"
    k: int = 0
    m: int = 0

    @property
    def by_neighbors(self) -> bool:
        """Whether captions of other images are looked at."""
        return self.features != NO_FEATURES


def write_grid(
    path: Path, unchanged: dict[str, float], scored: Sequence[tuple[RerankingSetting, dict[str, float]]]
) -> None:
    """Writes every setting with its scores, metric -> value, in the order given; `unchanged`: those without any."""
    settings = [{**asdict(setting), **scores} for setting, scores in scored]
    write_json(path, {"unchanged": unchanged, "settings": settings})


def read_best_setting(path: Path) -> RerankingSetting:
    """The first setting of the grid; raises ArtifactError if there is none."""
    try:
        best: dict[str, Any] = read_json(path)["settings"][0]
        return RerankingSetting(**{field.name: best[field.name] for field in fields(RerankingSetting)})
    except (KeyError, IndexError, TypeError) as error:
        raise ArtifactError(f"{path} is no grid of TuneReranking ({error!r}); run it again.") from error
