"""Scores of generated captions, through pycocoevalcap: BLEU-1..4, and whatever is in `model/scorers`."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.bleu.bleu_scorer import BleuScorer

from model.metrics.bootstrap import Difference, Statistics, differences, interval, mean_of
from model.metrics.java import ScorerMissing
from model.metrics.scorers import cider_d, scorers
from model.text.ptb import ptb_tokens
from schemas.errors import InputError

FEW_IMAGES = 20  # below which CIDEr's document frequencies mean little
_ORDERS = 4


@dataclass(frozen=True)
class Scores:
    """corpus: metric -> value; per_image: metric -> one value an image; left_out: metric -> why it is missing.

    statistics: metric -> what its value follows from by `model.metrics.bootstrap`; warnings: what a reader of
    the values must know.
    """

    corpus: dict[str, float]
    per_image: dict[str, list[float]]
    statistics: dict[str, Statistics]
    left_out: dict[str, str]
    warnings: tuple[str, ...]

    def intervals(self) -> dict[str, list[float]]:
        """Return 95 % bootstrap intervals over images by metric; METEOR has none, which is not a mean over images."""
        return {
            metric: list(interval(statistics)) for metric, statistics in self.statistics.items() if metric != "METEOR"
        }


def score_captions(
    hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]], with_java: bool = True
) -> Scores:
    """Scores one caption an image (raw text) against its references (raw text).

    BLEU, ROUGE-L, METEOR and SPICE lie in 0..1, CIDEr-D in 0..10. CIDEr's document frequencies are those of
    `references`, as in the COCO evaluation. METEOR and SPICE, which need Java, take longer than all others together.

    Raises:
        InputError: an image has no reference or the two sides are not about the same images.
    """
    if set(hypotheses) != set(references):
        odd = sorted(set(hypotheses) ^ set(references))[0]
        raise InputError(f"Image {odd} has a caption but no references, or the reverse; score the same images.")
    results = {image: [" ".join(ptb_tokens(text))] for image, text in hypotheses.items()}
    truth = {image: [" ".join(ptb_tokens(text)) for text in references[image]] for image in hypotheses}
    empty = next((image for image, texts in truth.items() if not any(texts)), None)
    if empty is not None:
        raise InputError(f"Image {empty} has no reference with a word in it; leave it out of the split.")

    left_out: dict[str, str] = {}
    # The scorers print their progress to standard output; that is not ours to show.
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, bleu_each = Bleu(_ORDERS).compute_score(truth, results, verbose=0)
        corpus = {f"BLEU-{n}": float(value) for n, value in enumerate(bleu, start=1)}
        per_image = {f"BLEU-{n}": [float(value) for value in each] for n, each in enumerate(bleu_each, start=1)}
        statistics = _bleu_statistics(truth, results)
        for scorer in scorers(with_java):
            try:
                corpus[scorer.NAME], per_image[scorer.NAME] = scorer.score(truth, results)
                statistics[scorer.NAME] = mean_of(np.array(per_image[scorer.NAME]))
            except ScorerMissing as reason:
                left_out[scorer.NAME] = str(reason)
    return Scores(corpus, per_image, statistics, left_out, _warnings(truth))


def compare_captions(ours: Scores, theirs: Scores) -> dict[str, Difference]:
    """By how much one set of captions scores better than another of the same images: metric -> paired difference."""
    return differences(ours.statistics, theirs.statistics)


def _bleu_statistics(truth: Mapping[str, list[str]], results: Mapping[str, list[str]]) -> dict[str, Statistics]:
    """Of each image: clipped matches and n-grams of each order, its length, and that of the closest reference."""
    rows = []
    for image, (hypothesis,) in results.items():
        counted = BleuScorer(hypothesis, truth[image], n=_ORDERS).ctest[0]
        closest = min((abs(length - counted["testlen"]), length) for length in counted["reflen"])[1]
        rows.append([*counted["correct"], *counted["guess"], counted["testlen"], closest])
    table = np.array(rows, np.float64)
    return {f"BLEU-{n}": Statistics(table, partial(_combine_bleu, order=n)) for n in range(1, _ORDERS + 1)}


def _combine_bleu(sums: np.ndarray, order: int) -> np.ndarray:
    """Papineni et al. 2002, with the tiny constants of coco-caption's scorer."""
    correct, guess = sums[..., :order] + 1e-15, sums[..., _ORDERS : _ORDERS + order] + 1e-9
    ratio = (sums[..., -2] + 1e-15) / (sums[..., -1] + 1e-9)
    score: np.ndarray = np.exp(np.log(correct / guess).mean(axis=-1) + np.minimum(0.0, 1.0 - 1.0 / ratio))
    return score


def _warnings(truth: Mapping[str, list[str]]) -> tuple[str, ...]:
    """What makes CIDEr-D's weights, ln(images / images whose references have the n-gram), mean little."""
    if len(truth) == 1:
        return ("CIDEr-D is 0 on a single image: every n-gram is in all documents.",)
    if len(truth) < FEW_IMAGES:
        return (f"CIDEr-D takes its document frequencies from {len(truth)} images only; use {FEW_IMAGES} or more.",)
    words = [{word for text in texts for word in text.split()} for texts in truth.values()]
    if all(one == words[0] for one in words):
        return ("CIDEr-D is 0: all images have the same words in their references.",)
    return ()


def cider(hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> float:
    """CIDEr-D alone, of texts that are already words joined by spaces; for model selection while training."""
    truth = {image: list(texts) for image, texts in references.items()}
    return cider_d.score(truth, {image: [hypotheses[image]] for image in references})[0]
