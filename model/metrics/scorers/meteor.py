"""METEOR 1.5 (Denkowski and Lavie 2014): alignments by its authors' Java program, scores from their statistics."""

import numpy as np
from numpy.typing import NDArray

from model.metrics.bootstrap import Statistics
from model.metrics.java import ScorerMissing, find_java, package_directory, run_java
from model.metrics.tokenized import TokenizedCaptions

NAMES, VERSION, NEEDS_JAVA = ("METEOR",), "1.5", True
_START_SECONDS, _SECONDS_PER_IMAGE = 300.0, 1.0
# Parameters of the program for English, as in coco-caption.
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_MODULE_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase
_NUMBERS = 23  # per image


def score(captions: TokenizedCaptions) -> dict[str, Statistics]:
    """Return the statistics of METEOR, which pool over images.

    Raises:
        ScorerMissing: pycocoevalcap or Java is not installed, or the program fails or does not end in time.
    """
    java = find_java("METEOR")
    directory = package_directory("pycocoevalcap", "METEOR") / "meteor"
    lines = [
        " ||| ".join(["SCORE", *map(_plain, references), _plain(caption)])
        for caption, references in zip(captions.captions, captions.references, strict=True)
    ]
    seconds = _START_SECONDS + _SECONDS_PER_IMAGE * len(lines)
    command = [java, "-Xmx2G", "-jar", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en", "-norm"]
    printed = run_java("METEOR", command, directory, "".join(f"{line}\n" for line in lines), seconds)
    try:
        rows = np.array([line.split() for line in printed.splitlines()], np.float64)
    except ValueError as error:
        raise ScorerMissing(f"the METEOR program printed no numbers ({error}).") from error
    if rows.shape != (len(lines), _NUMBERS):
        raise ScorerMissing(f"the METEOR program answered {len(rows)} of {len(lines)} captions.")
    return {"METEOR": Statistics(_perfect_in_one_chunk(rows), _combine)}


def _plain(text: str) -> str:
    """Return a text without the program's separator, in one line."""
    return " ".join(text.replace("|||", "").split())


def _perfect_in_one_chunk(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Set the chunks of captions that equal their reference to 0: the program counts no fragmentation for them."""
    matches = rows[:, 4:20].reshape(-1, 4, 4)
    in_caption, in_reference = matches[..., [0, 2]].sum(axis=(1, 2)), matches[..., [1, 3]].sum(axis=(1, 2))
    equal = (in_caption == rows[:, 0]) & (in_reference == rows[:, 1]) & (rows[:, 20] == 1)
    return np.column_stack([rows[:, :20], np.where(equal, 0.0, rows[:, 20]), rows[:, 21:]])


def _combine(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute METEOR from the program's numbers, (..., 23).

    These are the tokens of caption and reference, the function words among them, for each of four kinds of match the
    matched content words and function words of both, and then chunks and the matched tokens of both.
    """
    tokens, function = sums[..., :2], sums[..., 2:4]
    matches = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 2, 2)  # kind, content or function, caption or reference
    weighted = np.einsum("...kfs,k,f->...s", matches, _MODULE_WEIGHTS, [_DELTA, 1 - _DELTA])
    sizes = _DELTA * (tokens - function) + (1 - _DELTA) * function
    precision, recall = np.moveaxis(_ratio(weighted, sizes), -1, 0)
    mean = _ratio(precision * recall, _ALPHA * precision + (1 - _ALPHA) * recall)
    fragmentation = _ratio(sums[..., 20], sums[..., 21:].mean(axis=-1))
    meteor: NDArray[np.float64] = mean * (1 - _GAMMA * fragmentation**_BETA)
    return meteor


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide, with 0 for x / 0."""
    ratio: NDArray[np.float64] = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return ratio
