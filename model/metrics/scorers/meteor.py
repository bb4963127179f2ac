"""METEOR 1.5 by its authors' Java program, which comes with pycocoevalcap; it may die or fall silent."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pycocoevalcap.meteor.meteor import Meteor

from model.metrics.java import ScorerMissing, require_java

NAME, NEEDS_JAVA = "METEOR", True
ATTEMPTS = 2
START_SECONDS = 180.0  # of patience for the start of Java, to which every image adds
SECONDS_AN_IMAGE = 1.0


def score(
    references: Mapping[str, Sequence[str]],
    hypotheses: Mapping[str, Sequence[str]],
    start: Callable[[], Any] = Meteor,
    patience: float | None = None,
) -> tuple[float, list[float]]:
    """METEOR of the corpus and of each image, in 0..1; texts are words joined by blanks.

    start: makes the scorer; patience: seconds after which a scorer that does not answer counts as dead.

    Raises:
        ScorerMissing: there is no Java, or the scorer died or fell silent, also when started a second time.
    """
    require_java(NAME, "1.8 or later")
    seconds = START_SECONDS + SECONDS_AN_IMAGE * len(references) if patience is None else patience
    for _ in range(ATTEMPTS):
        outcome = _try(references, hypotheses, start, seconds)
        if not isinstance(outcome, str):
            return outcome
    raise ScorerMissing(f"the METEOR scorer {outcome}, {ATTEMPTS} times.")


def _try(
    references: Mapping[str, Sequence[str]],
    hypotheses: Mapping[str, Sequence[str]],
    start: Callable[[], Any],
    seconds: float,
) -> tuple[float, list[float]] | str:
    """The scores, or what went wrong."""
    found: list[tuple[float, list[float]] | str] = []
    try:
        scorer = start()
    except OSError as error:
        return f"cannot be started ({error})"

    def compute() -> None:
        try:
            value, each = scorer.compute_score(references, hypotheses)
            found.append((float(value), [float(one) for one in each]))
        except (OSError, ValueError) as error:
            found.append(f"died ({error})")

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    thread.join(seconds)
    silent = thread.is_alive()
    scorer.meteor_p.kill()  # a thread that still waits for an answer gets none now, and ends
    scorer.meteor_p.wait()
    scorer.lock = threading.Lock()  # what failed left its own locked, for which the scorer's end would wait for ever
    return found[0] if not silent else f"did not answer within {seconds:.0f} s"
