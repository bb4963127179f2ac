"""BLEU, ROUGE-L, CIDEr-D and METEOR equal those of pycocoevalcap."""

import contextlib
import io
import random

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from model.metrics.captions import score_captions

TOLERANCE = 1e-9


def _random_set(seed):
    """Captions and references of 1 to 6 images; some are empty, have equal texts or a no-break space in a token."""
    choose = random.Random(seed)
    words = [f"w{number}" for number in range(choose.choice([3, 10, 50]))] + ["3\u00a01/2"] * choose.randint(0, 1)

    def text(shortest):
        return " ".join(choose.choice(words) for _ in range(choose.randint(shortest, 12)))

    references = {
        str(image): [text(1), *(text(0) for _ in range(choose.randint(0, 4)))] for image in range(choose.randint(1, 6))
    }
    captions = {image: choose.choice([text(0), own[0]]) for image, own in references.items()}
    return captions, references


def _score_by_pycocoevalcap(captions, references):
    results = {image: [text] for image, text in captions.items()}
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, bleu_each = Bleu(4).compute_score(references, results, verbose=0)
        found = {f"BLEU-{order}": each for order, each in enumerate(zip(bleu, bleu_each, strict=True), start=1)}
        found["ROUGE-L"] = Rouge().compute_score(references, results)
        found["CIDEr-D"] = Cider().compute_score(references, results)
    return found


@pytest.mark.parametrize(
    "seeds", [range(250), pytest.param(range(250, 1000), marks=pytest.mark.slow("scores 750 sets twice"))], ids=str
)
def test_scores_equal_pycocoevalcap_on_random_sets(seeds):
    for seed in seeds:
        captions, references = _random_set(seed)
        scores = score_captions(captions, references, tokenize=lambda text: text.split(" "))
        corpus, per_image = scores.corpus, scores.per_image
        for metric, (value, each) in _score_by_pycocoevalcap(captions, references).items():
            assert corpus[metric] == pytest.approx(value, abs=TOLERANCE), (seed, metric)
            assert np.abs(np.array(per_image[metric]) - each).max() < TOLERANCE, (seed, metric)


@pytest.mark.slow("starts Java")
def test_meteor_equals_the_values_of_its_program():
    captions = {
        "same": "a dog runs in the parks",
        "stem": "a dog running in a park",
        "synonym": "a big automobile",
        "other": "cats",
        "empty": "",
    }
    references = {image: ["a dog runs in the parks", "the large car"] for image in captions}
    scores = score_captions(captions, references, ["METEOR"], str.split)
    assert scores.left_out == {}
    # Answers of `EVAL` of meteor-1.5.jar, as pycocoevalcap starts it.
    assert scores.per_image["METEOR"] == pytest.approx([1, 0.308994850359899, 0.30601869588313446, 0, 0], abs=TOLERANCE)
    assert scores.corpus["METEOR"] == pytest.approx(0.259754700541727, abs=TOLERANCE)
    low, high = scores.intervals()["METEOR"]
    assert low < scores.corpus["METEOR"] < high
