"""One small module a metric that has one value an image.

A module states its `NAME`, whether it `NEEDS_JAVA`, and how to `score`: references and hypotheses, by image id texts of
words joined by blanks, one hypothesis an image -> the value of the corpus, and one an image in the order of the
references. It raises `model.metrics.java.ScorerMissing` where it cannot be had.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType


def scorers(with_java: bool = True) -> Iterator[ModuleType]:
    """The modules, by name; `with_java`: those that need Java, too."""
    for found in pkgutil.iter_modules(__path__):
        scorer = importlib.import_module(f"{__name__}.{found.name}")
        if with_java or not scorer.NEEDS_JAVA:
            yield scorer
