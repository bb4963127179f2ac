"""Scorers, one module each.

A module declares

* `NAMES`: the metrics that it computes,
* `VERSION`: what a paper should state beside them,
* `NEEDS_JAVA`: whether it runs a Java program; such metrics are computed only on request,
* `score(captions: TokenizedCaptions) -> dict[str, Statistics]`: statistics of each metric, from which its score, the
  scores of the images and bootstrap intervals follow. It raises `model.metrics.java.ScorerMissing` with the reason
  where the metric cannot be computed.
"""

import importlib
import pkgutil
from collections.abc import Collection, Iterator
from types import ModuleType

from schemas.errors import ConfigurationError


def scorers(java_metrics: Collection[str] = ()) -> Iterator[ModuleType]:
    """Yield the scorers without Java, and those with Java that compute one of `java_metrics`.

    Raises:
        ConfigurationError: A metric of `java_metrics` is unknown.
    """
    found = _all_scorers()
    known = {name for scorer in found if scorer.NEEDS_JAVA for name in scorer.NAMES}
    for name in java_metrics:
        if name not in known:
            raise ConfigurationError(f"There is no additional metric {name}; choose from {', '.join(sorted(known))}.")
    yield from (scorer for scorer in found if not scorer.NEEDS_JAVA)
    yield from (scorer for scorer in found if scorer.NEEDS_JAVA and not set(scorer.NAMES).isdisjoint(java_metrics))


def versions(metrics: Collection[str]) -> dict[str, str]:
    """Return scorer -> version of the scorers that compute one of `metrics`; a scorer is named by its metrics."""
    return {
        "+".join(scorer.NAMES): scorer.VERSION for scorer in _all_scorers() if not set(scorer.NAMES).isdisjoint(metrics)
    }


def _all_scorers() -> list[ModuleType]:
    return [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
