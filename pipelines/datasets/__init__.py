"""One small module a corpus. `CORPUS` in `pipelines.datasets.NAME` is the corpus called NAME."""

import importlib
import pkgutil

from pipelines.datasets.base import Corpus
from schemas.errors import ConfigurationError


def corpus_names() -> list[str]:
    """Names of all corpora, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def find_corpus(name: str) -> Corpus:
    """The corpus called `name`.

    Raises:
        ConfigurationError: there is none; the message lists those there are.
    """
    if name not in corpus_names():
        raise ConfigurationError(f"There is no corpus {name!r}; set `dataset` to one of {', '.join(corpus_names())}.")
    corpus: Corpus = importlib.import_module(f"pipelines.datasets.{name}").CORPUS
    return corpus
