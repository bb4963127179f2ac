"""Caption scores: hand-computed cases, an independent CIDEr-D, invalid input and warnings."""

import math
import subprocess

import numpy as np
import pytest

from model.metrics.captions import cider, compare_captions, score_captions, score_systems
from model.reranking.similarity import CiderSimilarity
from model.text.ngrams import SentenceTable
from model.text.ptb import ptb_tokens
from schemas.errors import ConfigurationError, InputError

CAT = "the cat sat on mat"
REFERENCES = {
    "1": ["the cat sat on the mat", "a cat on a mat"],
    "2": ["a dog runs in the park", "the dog runs", "a brown dog runs on grass"],
    "3": ["two birds", "two birds on a wire in the sky"],
}
HYPOTHESES = {"2": "a dog runs on the grass", "1": "a cat sat on a mat", "3": "birds on a wire"}


def test_bleu_is_the_mean_of_precisions_with_a_brevity_penalty():
    scores = score_captions({"1": CAT}, {"1": ["the cat sat on the mat"]})
    # Of 5, 4, 3 and 2 n-grams 5, 3, 2 and 1 are in the reference, which is six words long.
    precisions = [1.0, 3 / 4, 2 / 3, 1 / 2]
    for order in range(1, 5):
        expected = math.exp(1 - 6 / 5) * math.prod(precisions[:order]) ** (1 / order)
        assert scores.corpus[f"BLEU-{order}"] == pytest.approx(expected, rel=1e-6)
        assert scores.per_image[f"BLEU-{order}"] == pytest.approx([expected], rel=1e-6)


def test_bleu_clips_repeated_words_at_the_references():
    scores = score_captions({"1": "the the the the"}, {"1": ["the cat sat there", "the dog and the bird"]})
    assert scores.corpus["BLEU-1"] == pytest.approx(2 / 4, rel=1e-6)


def test_corpus_bleu_pools_counts_over_images():
    scores = score_captions({"1": "a b c d", "2": "x y"}, {"1": ["a b c d"], "2": ["x q"]})
    assert scores.corpus["BLEU-1"] == pytest.approx(5 / 6, rel=1e-6)
    assert scores.per_image["BLEU-1"] == pytest.approx([1.0, 0.5], rel=1e-6)


def test_rouge_is_the_f_measure_of_the_longest_common_subsequence():
    scores = score_captions({"1": CAT}, {"1": ["the cat sat on the mat"]})
    precision, recall = 5 / 5, 5 / 6
    expected = (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)
    assert scores.corpus["ROUGE-L"] == pytest.approx(expected)


def test_cider_is_the_mean_similarity_to_the_references_weighed_by_their_frequencies():
    scores = score_captions(HYPOTHESES, REFERENCES)
    words = {image: [text.split() for text in texts] for image, texts in REFERENCES.items()}
    table = SentenceTable(
        [*(text.split() for text in HYPOTHESES.values()), *(own for each in words.values() for own in each)]
    )
    ends = len(HYPOTHESES) + np.cumsum([len(own) for own in words.values()])
    rows = {image: np.arange(end - len(words[image]), end) for image, end in zip(words, ends, strict=True)}
    similarity = CiderSimilarity(table, list(rows.values()))
    expected = [similarity(np.array([row]), rows[image]).mean() for row, image in enumerate(HYPOTHESES)]
    assert scores.per_image["CIDEr-D"] == pytest.approx(expected)
    assert scores.corpus["CIDEr-D"] == pytest.approx(np.mean(expected))
    assert cider(HYPOTHESES, REFERENCES) == pytest.approx(np.mean(expected))


def test_scores_of_images_are_in_the_order_of_the_hypotheses():
    forwards = score_captions(HYPOTHESES, REFERENCES)
    backwards = score_captions(dict(reversed(HYPOTHESES.items())), REFERENCES)
    assert forwards.corpus == pytest.approx(backwards.corpus)
    for metric, values in forwards.per_image.items():
        assert values == pytest.approx(backwards.per_image[metric][::-1])
        assert len(values) == len(HYPOTHESES)


def test_case_and_punctuation_do_not_count():
    plain = score_captions({"1": "a dog runs", "2": "two cats"}, {"1": ["a dog runs fast"], "2": ["two cats"]})
    noisy = score_captions({"1": "A dog, runs.", "2": 'Two "cats"!'}, {"1": ["a Dog runs fast ."], "2": ["two cats"]})
    assert (plain.corpus, plain.per_image) == (noisy.corpus, noisy.per_image)
    assert ptb_tokens("A dog, runs.") == ["a", "dog", "runs"]


def test_empty_caption_scores_zero():
    scores = score_captions({"1": "", "2": "two cats sleep here"}, {"1": ["a dog"], "2": ["two cats sleep here"]})
    assert [scores.per_image[metric][0] for metric in ("BLEU-1", "ROUGE-L", "CIDEr-D")] == pytest.approx([0, 0, 0])


@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [({"1": "a"}, {"1": ["a"], "2": ["b"]}), ({"1": "a", "2": "b"}, {"1": ["a"]})],
)
def test_mismatched_images_are_refused(hypotheses, references):
    with pytest.raises(InputError, match="Image 2"):
        score_captions(hypotheses, references)


@pytest.mark.parametrize("texts", [[], ["."], [""]])
def test_reference_without_a_token_is_named(texts):
    with pytest.raises(InputError, match="Image 2 has no reference"):
        score_captions({"1": "a", "2": "b"}, {"1": ["a"], "2": texts})


def test_java_is_not_used_unless_requested(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    scores = score_captions(HYPOTHESES, REFERENCES)
    assert [*scores.corpus] == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "CIDEr-D", "ROUGE-L"]
    assert scores.left_out == {}


def test_unknown_metric_is_refused():
    with pytest.raises(ConfigurationError, match="no additional metric BERTScore; choose from METEOR, SPICE"):
        score_captions(HYPOTHESES, REFERENCES, ["BERTScore"])


def test_systems_are_scored_as_each_alone():
    systems = {"ours": HYPOTHESES, "theirs": {image: texts[0] for image, texts in REFERENCES.items()}}
    found = score_systems(systems, REFERENCES)
    for name, captions in systems.items():
        alone = score_captions(captions, REFERENCES)
        assert (found[name].corpus, found[name].per_image) == (alone.corpus, alone.per_image)


def test_scores_use_the_given_tokenizer():
    assert score_captions({"1": "ab"}, {"1": ["a b"]}).corpus["BLEU-1"] == pytest.approx(0, abs=1e-6)
    assert score_captions({"1": "ab"}, {"1": ["a b"]}, tokenize=lambda text: [*text.replace(" ", "")]).corpus[
        "BLEU-1"
    ] == pytest.approx(1.0)


def test_intervals_hold_the_score_and_come_from_its_statistics():
    random = np.random.default_rng(0)
    words = "a dog cat runs sits on the grass mat in park".split()
    references = {str(image): [" ".join(random.choice(words, 8)) for _ in range(3)] for image in range(60)}
    hypotheses = {image: " ".join(random.choice(words, 7)) for image in references}
    scores = score_captions(hypotheses, references)
    for metric, (low, high) in scores.intervals().items():
        statistics = scores.statistics[metric]
        assert statistics.combine(statistics.per_image.sum(axis=0)) == pytest.approx(scores.corpus[metric], rel=1e-6)
        assert low < scores.corpus[metric] < high
    better = score_captions(
        {**hypotheses, **{image: references[image][0] for image in list(references)[:30]}}, references
    )
    for difference in compare_captions(better, scores).values():
        assert difference.low > 0 and difference.p < 0.01


def test_cider_on_few_or_uniform_images_warns():
    def warnings(images, text="a dog {} runs"):
        captions = {str(image): text.format(image) for image in range(images)}
        return score_captions(captions, {image: [caption] for image, caption in captions.items()}).warnings

    assert "single image" in warnings(1)[0]
    assert "19 images only" in warnings(19)[0]
    assert warnings(20) == ()
    assert "same words" in warnings(20, "a dog runs")[0]
