"""Settings of consensus reranking, and the `grid.json` artifact of TuneReranking that scores them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError
from schemas.io.files import read_json, write_json


@dataclass(frozen=True)
class RerankingSetting:
    """Settings of consensus reranking.

    Attributes:
        similarity: Similarity of two captions: `cider`, `bleu`, `cider+bleu` or `bleu-compat`.
        features: Features by which images are compared, `refined` or `original`. None for self-consensus, where the
            hypotheses of an image are compared with one another.
        metric: Distance between these features; None for self-consensus and kernel-ridge consensus.
        k: Number of nearest images whose captions are the references of consensus.
        m: Number of largest similarities that are summed by consensus.
        gamma: Sharpness of the kernel of kernel-ridge consensus; None for the other methods.
        regularization: Ridge penalty of kernel-ridge consensus; None for the other methods.
        tuned_on: Split on which TuneReranking chose the setting; None if it was configured.
    """

    similarity: str
    features: str | None = None
    metric: str | None = None
    k: int = 0
    m: int = 0
    gamma: float | None = None
    regularization: float | None = None
    tuned_on: str | None = None

    @property
    def method(self) -> str:
        """Method of the setting: `self-consensus`, `kernel-ridge` or `consensus`."""
        if self.features is None:
            return "self-consensus"
        return "consensus" if self.gamma is None else "kernel-ridge"

    def summary(self) -> dict[str, str | int | float]:
        """Return the values that apply, for score sheets."""
        applying = {
            "self-consensus": ("similarity",),
            "kernel-ridge": ("similarity", "features", "gamma", "regularization"),
            "consensus": ("similarity", "features", "metric", "k", "m"),
        }[self.method]
        values = {"method": self.method, **{name: getattr(self, name) for name in applying}}
        return values if self.tuned_on is None else {**values, "tuned on": self.tuned_on}


def write_setting(directory: Path, setting: RerankingSetting) -> None:
    """Write `reranking.json`, the setting by which the artifact's hypotheses were ordered."""
    write_json(directory / "reranking.json", asdict(setting))


def read_setting(directory: Path) -> RerankingSetting:
    """Read `reranking.json`.

    Raises:
        ArtifactError: The file is missing or malformed.
    """
    path = directory / "reranking.json"
    try:
        return RerankingSetting(**read_json(path))
    except TypeError as error:
        raise ArtifactError(f"{path} is not a setting of RerankCaptions ({error}); run it again.") from error


def write_grid(
    path: Path, unchanged: dict[str, float], scored: Sequence[tuple[RerankingSetting, dict[str, float]]]
) -> None:
    """Write every setting with its scores, in the given order.

    Args:
        path: File to write.
        unchanged: Scores without reranking, by metric.
        scored: Settings and their scores by metric, best first.
    """
    settings = [{**asdict(setting), **scores} for setting, scores in scored]
    write_json(path, {"unchanged": unchanged, "settings": settings})


def read_best_setting(path: Path) -> RerankingSetting:
    """Read the first setting of the grid.

    Raises:
        ArtifactError: The file is missing, malformed or empty.
    """
    try:
        best: dict[str, Any] = read_json(path)["settings"][0]
        return RerankingSetting(**{field.name: best[field.name] for field in fields(RerankingSetting)})
    except (KeyError, IndexError, TypeError) as error:
        raise ArtifactError(f"{path} is not a grid of TuneReranking ({error!r}); run it again.") from error
