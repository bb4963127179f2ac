"""Scores of generated captions, through pycocoevalcap's scorers: BLEU-1..4, ROUGE-L, CIDEr-D and, with Java, METEOR."""

import contextlib
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge

from model.ptb import ptb_words
from schemas.errors import InputError


@dataclass(frozen=True)
class Scores:
    """corpus: metric -> value; per_image: metric -> one value an image; left_out: metric -> why it is missing."""

    corpus: dict[str, float]
    per_image: dict[str, list[float]]
    left_out: dict[str, str]


def score_captions(hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> Scores:
    """Scores one caption an image (raw text) against its references (raw text).

    BLEU, ROUGE-L and METEOR lie in 0..1, CIDEr-D in 0..10. CIDEr's document frequencies are those of `references`,
    as in the COCO evaluation.

    Raises:
        InputError: an image has no reference or the two sides are not about the same images.
    """
    if set(hypotheses) != set(references):
        odd = sorted(set(hypotheses) ^ set(references))[0]
        raise InputError(f"Image {odd} has a caption but no references, or the reverse; score the same images.")
    results = {image: [" ".join(ptb_words(text))] for image, text in hypotheses.items()}
    truth = {image: [" ".join(ptb_words(text)) for text in references[image]] for image in hypotheses}
    empty = next((image for image, texts in truth.items() if not any(texts)), None)
    if empty is not None:
        raise InputError(f"Image {empty} has no reference with a word in it; leave it out of the split.")

    # The scorers print their progress to standard output; that is not ours to show.
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, bleu_each = Bleu(4).compute_score(truth, results, verbose=0)
        rouge, rouge_each = Rouge().compute_score(truth, results)
        cider, cider_each = Cider().compute_score(truth, results)
    corpus = {f"BLEU-{n}": float(value) for n, value in enumerate(bleu, start=1)}
    per_image = {f"BLEU-{n}": [float(value) for value in each] for n, each in enumerate(bleu_each, start=1)}
    for name, value, each in (("ROUGE-L", rouge, rouge_each), ("CIDEr-D", cider, cider_each)):
        corpus[name], per_image[name] = float(value), np.asarray(each, float).tolist()

    left_out: dict[str, str] = {}
    try:
        corpus["METEOR"], per_image["METEOR"] = _meteor(truth, results)
    except _MeteorMissing as reason:
        left_out["METEOR"] = str(reason)
    return Scores(corpus, per_image, left_out)


def cider(hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> float:
    """CIDEr-D alone, of texts that are already words joined by spaces; for model selection while training."""
    value, _ = Cider().compute_score(
        {image: list(texts) for image, texts in references.items()},
        {image: [hypotheses[image]] for image in references},
    )
    return float(value)


class _MeteorMissing(Exception):
    """METEOR cannot be computed here; the message says why."""


def _meteor(truth: dict[str, list[str]], results: dict[str, list[str]]) -> tuple[float, list[float]]:
    if shutil.which("java") is None:
        raise _MeteorMissing("no Java runtime was found; METEOR's official scorer needs one (1.8 or later).")
    scorer: Any = None
    try:
        scorer = Meteor()
        value, each = scorer.compute_score(truth, results)
    except (OSError, ValueError) as error:
        raise _MeteorMissing(f"the METEOR scorer died ({error}).") from error
    finally:
        if scorer is not None:
            scorer.meteor_p.kill()
    return float(value), [float(score) for score in each]
