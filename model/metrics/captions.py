"""Scores of generated captions against reference captions by the metrics of `model.metrics.scorers`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.metrics.bootstrap import Difference, Statistics, differences, interval
from model.metrics.java import ScorerMissing
from model.metrics.scorers import cider_d, scorers
from model.metrics.tokenized import TokenizedCaptions
from model.text.characters import character_tokens, fraction_without_blanks
from model.text.ptb import ptb_tokens
from schemas.errors import InputError

FEW_IMAGES = 20  # below which CIDEr's document frequencies mean little
_MANY = 0.1  # fraction of texts in a script without blanks that is worth a warning
Tokenize = Callable[[str], list[str]]


@dataclass(frozen=True)
class Scores:
    """Scores of one caption per image.

    Attributes:
        statistics: Statistics by metric, from which its scores and its intervals follow.
        left_out: Reason for each missing metric.
        warnings: Caveats about the scores.
        tokenized: Captions and references as they were scored.
    """

    statistics: dict[str, Statistics]
    left_out: dict[str, str]
    warnings: tuple[str, ...]
    tokenized: TokenizedCaptions

    @cached_property
    def corpus(self) -> dict[str, float]:
        """Metric -> score over all images."""
        return {metric: statistics.score() for metric, statistics in self.statistics.items()}

    @cached_property
    def per_image(self) -> dict[str, list[float]]:
        """Metric -> one score per image, in the order of the captions."""
        return {metric: each.combine(each.per_image).tolist() for metric, each in self.statistics.items()}

    def intervals(self) -> dict[str, list[float]]:
        """Metric -> its 95 % bootstrap interval over images."""
        return {metric: list(interval(statistics)) for metric, statistics in self.statistics.items()}


def score_captions(
    captions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    java_metrics: Collection[str] = (),
    tokenize: Tokenize = ptb_tokens,
) -> Scores:
    """Score one caption per image; see `score_systems`.

    Args:
        captions: Text of the caption by image id.
        references: Texts of the references by image id.
        java_metrics: METEOR and SPICE, where wanted.
        tokenize: Splits a text into tokens.
    """
    (scores,) = score_systems({"": captions}, references, java_metrics, tokenize).values()
    return scores


def score_systems(
    systems: Mapping[str, Mapping[str, str]],
    references: Mapping[str, Sequence[str]],
    java_metrics: Collection[str] = (),
    tokenize: Tokenize = ptb_tokens,
) -> dict[str, Scores]:
    """Score the captions of several systems for the same images.

    BLEU, ROUGE-L, METEOR and SPICE are in 0..1, CIDEr-D in 0..10. CIDEr's document frequencies are those of
    `references`, as in the COCO evaluation. A Java program is started once for all systems.

    Args:
        systems: System -> image id -> text of its caption.
        references: Image id -> texts of its references.
        java_metrics: METEOR and SPICE, where wanted.
        tokenize: Splits a text into tokens; the default is coco-caption's tokenizer.

    Returns:
        System -> scores, with the images in the order of that system's captions.

    Raises:
        ConfigurationError: A metric is unknown.
        InputError: An image has no reference, or the two sides have different images.
    """
    truth = {image_id: [" ".join(tokenize(text)) for text in texts] for image_id, texts in references.items()}
    for captions in systems.values():
        if captions.keys() != truth.keys():
            odd = sorted(captions.keys() ^ truth.keys())[0]
            raise InputError(f"Image {odd} has a caption but no references, or the reverse; score the same images.")
    empty = next((image_id for image_id, texts in truth.items() if not any(texts)), None)
    if empty is not None:
        raise InputError(f"Image {empty} has no reference with a token in it; leave it out of the split.")

    tokenized = {
        name: TokenizedCaptions(
            [" ".join(tokenize(text)) for text in captions.values()], [truth[image_id] for image_id in captions]
        )
        for name, captions in systems.items()
    }
    statistics: dict[str, dict[str, Statistics]] = {name: {} for name in systems}
    left_out: dict[str, str] = {}
    for scorer in scorers(java_metrics):
        try:
            if scorer.NEEDS_JAVA:
                found = _score_together(scorer.score, tokenized)
            else:
                found = {name: scorer.score(captions) for name, captions in tokenized.items()}
            for name, metrics in found.items():
                statistics[name].update(metrics)
        except ScorerMissing as reason:
            left_out.update(dict.fromkeys(scorer.NAMES, str(reason)))
    warnings = _warnings(truth)
    if tokenize is not character_tokens:
        of_references = [text for texts in references.values() for text in texts]
        warnings += _script_warnings([of_references, *([*captions.values()] for captions in systems.values())])
    return {name: Scores(statistics[name], left_out, warnings, tokenized[name]) for name in systems}


def _score_together(
    score: Callable[[TokenizedCaptions], dict[str, Statistics]], systems: Mapping[str, TokenizedCaptions]
) -> dict[str, dict[str, Statistics]]:
    """Score all systems in one call of a scorer whose statistics of an image depend on that image alone."""
    together = score(
        TokenizedCaptions(
            [text for system in systems.values() for text in system.captions],
            [texts for system in systems.values() for texts in system.references],
        )
    )
    ends = np.cumsum([len(system.captions) for system in systems.values()])
    return {
        name: {
            metric: Statistics(statistics.per_image[end - len(system.captions) : end], statistics.combine)
            for metric, statistics in together.items()
        }
        for end, (name, system) in zip(ends, systems.items(), strict=True)
    }


def compare_captions(ours: Scores, theirs: Scores) -> dict[str, Difference]:
    """Compute the paired difference of two systems on the same images, by metric."""
    return differences(ours.statistics, theirs.statistics)


def _warnings(truth: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Warn if CIDEr-D's weights, ln(images / images whose references have the n-gram), are not meaningful."""
    if len(truth) == 1:
        return ("CIDEr-D is 0 on a single image: every n-gram is in all documents.",)
    if len(truth) < FEW_IMAGES:
        return (f"CIDEr-D takes its document frequencies from {len(truth)} images only; use {FEW_IMAGES} or more.",)
    tokens = ({token for text in texts for token in text.split()} for texts in truth.values())
    first = next(tokens)
    if all(others == first for others in tokens):
        return ("CIDEr-D is 0: all images have the same words in their references.",)
    return ()


def _script_warnings(texts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Warn if many references or captions are in a script whose sentences are one token each."""
    if max(fraction_without_blanks(each) for each in texts) < _MANY:
        return ()
    return (
        "Captions are in a script without blanks between words, such as Chinese, Japanese or Thai, where each sentence "
        "counts as one word; score them by character: `mrnn evaluate --by-character`.",
    )


def cider(captions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> float:
    """Compute CIDEr-D of tokenized texts, for model selection during training.

    Args:
        captions: Tokens of the caption, joined by blanks, by image id.
        references: Tokens of each reference, joined by blanks, by image id.
    """
    tokenized = TokenizedCaptions([*captions.values()], [references[image_id] for image_id in captions])
    return cider_d.score(tokenized)["CIDEr-D"].score()
