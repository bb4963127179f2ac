"""Similarities of sentences against naive ones, and the choice by consensus."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocoevalcap.cider.cider_scorer import CiderScorer

from model.consensus import (
    CiderSimilarity,
    DocumentFrequencies,
    bleu_similarity,
    consensus_scores,
    ngrams,
    rerank_order,
)

SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), max_size=7), min_size=1, max_size=4)
IMAGES = [
    [list("abc"), list("abd")],
    [list("bcda")],
    [list("aaaa"), list("cd"), []],
]


def plain_cider(hypothesis, reference, images):
    """CIDEr-D of one sentence and one reference, from the formula."""
    total = 0.0
    for order in range(1, 5):
        documents = [{gram for words in image for gram in ngrams(words, order)} for image in images]

        def weigh(words, order=order, documents=documents):
            counts = ngrams(words, order)
            frequency = {gram: sum(gram in document for document in documents) for gram in counts}
            return {
                gram: count * (math.log(len(images)) - math.log(max(1, frequency[gram])))
                for gram, count in counts.items()
            }

        h, r = weigh(hypothesis), weigh(reference)
        norms = math.sqrt(sum(v**2 for v in h.values())) * math.sqrt(sum(v**2 for v in r.values()))
        if norms > 0:
            total += sum(min(h[gram], r.get(gram, 0.0)) * r.get(gram, 0.0) for gram in h) / norms
    difference = max(0, len(hypothesis) - 1) - max(0, len(reference) - 1)
    return 10 / 4 * total * math.exp(-(difference**2) / (2 * 6**2))


def plain_bleu(hypothesis, reference):
    """The mean F1 of clipped n-gram matches of mRNN-CR."""
    scores = []
    for order in range(1, 5):
        h, r = ngrams(hypothesis, order), ngrams(reference, order)
        matches = sum(min(count, r[gram]) for gram, count in h.items())
        if matches == 0:
            scores.append(0.0)
        else:
            precision, recall = matches / h.total(), matches / r.total()
            scores.append(2 * precision * recall / (precision + recall))
    return sum(scores) / 4


def pairwise(similarity, hypotheses, references):
    return [[similarity(h, r) for r in references] for h in hypotheses]


def test_ngrams_are_counted_and_there_are_none_in_short_sentences():
    assert ngrams(["a", "b", "a", "b"], 2) == Counter({("a", "b"): 2, ("b", "a"): 1})
    assert ngrams(["a"], 2) == ngrams([], 1) == Counter()


def test_a_document_is_all_captions_of_an_image():
    frequencies = DocumentFrequencies.of(IMAGES)
    assert frequencies.documents == 3
    assert frequencies.counts[("a",)] == 3
    assert frequencies.counts[("a", "b")] == 1  # in two captions of one image
    assert frequencies.counts[("c", "d")] == 2
    assert frequencies.weight(("a", "b")) == pytest.approx(math.log(3))
    assert frequencies.weight(("a",)) == pytest.approx(0.0)
    assert frequencies.weight(("never",)) == pytest.approx(math.log(3))


@given(SENTENCES, SENTENCES)
def test_cider_equals_the_formula(hypotheses, references):
    fast = CiderSimilarity(DocumentFrequencies.of(IMAGES))(hypotheses, references)
    expected = pairwise(lambda h, r: plain_cider(h, r, IMAGES), hypotheses, references)
    np.testing.assert_allclose(fast, expected, atol=1e-9)


def test_cider_equals_the_official_scorer_on_single_references():
    random = np.random.default_rng(0)
    sentences = [list(random.choice(list("abcdefgh"), length)) for length in random.integers(1, 12, 20)]
    references, hypotheses = sentences[:10], sentences[10:]
    official = CiderScorer()
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        official += (" ".join(hypothesis), [" ".join(reference)])
    _, expected = official.compute_score()
    similarity = CiderSimilarity(DocumentFrequencies.of([reference] for reference in references))
    np.testing.assert_allclose(np.diag(similarity(hypotheses, references)), expected, atol=1e-9)


def test_cider_of_a_long_sentence_with_itself_is_ten():
    similarity = CiderSimilarity(DocumentFrequencies.of(IMAGES))
    assert similarity([list("abcda")], [list("abcda")])[0, 0] == pytest.approx(10.0)
    assert similarity([list("wxyz")], [list("abcda")])[0, 0] == 0.0


def test_cider_does_not_depend_on_what_was_compared_before():
    similarity = CiderSimilarity(DocumentFrequencies.of(IMAGES))
    first = similarity([list("abc")], [list("abd")])
    similarity([list("bcda"), list("abd")], [list("abc"), []])
    np.testing.assert_array_equal(similarity([list("abc")], [list("abd")]), first)


@given(SENTENCES, SENTENCES)
def test_bleu_equals_the_formula(hypotheses, references):
    expected = pairwise(plain_bleu, hypotheses, references)
    np.testing.assert_allclose(bleu_similarity(hypotheses, references), expected, atol=1e-12)


def test_bleu_by_hand():
    # Matches of n-grams: 3 of 4 and 5, 2 of 3 and 4, 1 of 2 and 3, none.
    expected = (2 * 3 / 9 + 2 * 2 / 7 + 2 * 1 / 5 + 0) / 4
    assert bleu_similarity([list("abcx")], [list("yabcz")])[0, 0] == pytest.approx(expected)
    assert bleu_similarity([list("aa")], [list("a")])[0, 0] == pytest.approx((2 * 1 / 3) / 4)
    assert bleu_similarity([list("abcd")], [list("abcd")])[0, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("similarity", [CiderSimilarity(DocumentFrequencies.of(IMAGES)), bleu_similarity])
def test_empty_sentences_are_like_nothing(similarity):
    np.testing.assert_array_equal(similarity([[], list("abc")], [[]]), [[0.0], [0.0]])
    assert similarity([list("abc"), []], []).shape == (2, 0)
    assert similarity([], [list("abc")]).shape == (0, 1)


def test_the_m_most_similar_references_count():
    similarity = np.array([[0.1, 0.9, 0.5], [0.6, 0.0, 0.6]])
    np.testing.assert_allclose(consensus_scores(similarity, 1), [0.9, 0.6])
    np.testing.assert_allclose(consensus_scores(similarity, 2), [1.4, 1.2])


def test_with_fewer_references_than_m_all_count():
    similarity = np.array([[0.1, 0.9, 0.5], [0.6, 0.0, 0.6]])
    np.testing.assert_allclose(consensus_scores(similarity, 125), [1.5, 1.2])


def test_equal_scores_keep_their_order():
    assert rerank_order(np.array([1.0, 3.0, 2.0, 3.0, 1.0])).tolist() == [1, 3, 2, 0, 4]
