"""Similarities of sentences against naive ones."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocoevalcap.cider.cider_scorer import CiderScorer

from model.reranking.similarity import BleuSimilarity, CiderSimilarity, SumSimilarity
from model.text.ngrams import SentenceTable, ngrams

SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), max_size=7), min_size=1, max_size=4)
IMAGES = [
    [list("abc"), list("abd")],
    [list("bcda")],
    [list("aaaa"), list("cd"), []],
]


def compare(similarity, hypotheses, references, images=IMAGES):
    """`similarity` of all pairs; the captions of `images` are the documents."""
    documents = [words for captions in images for words in captions]
    table = SentenceTable([*documents, *hypotheses, *references])
    ends = np.cumsum([len(captions) for captions in images])
    rows = [np.arange(end - len(captions), end) for captions, end in zip(images, ends, strict=True)]
    compared = similarity(table, rows)
    start = len(documents) + len(hypotheses)
    return compared(np.arange(len(documents), start), np.arange(start, start + len(references)))


def bleu(table, documents):
    return BleuSimilarity(table)


def cider_and_bleu(table, documents):
    return SumSimilarity((0.5, CiderSimilarity(table, documents)), (3.0, BleuSimilarity(table)))


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


@given(SENTENCES, SENTENCES)
def test_cider_equals_the_formula(hypotheses, references):
    fast = compare(CiderSimilarity, hypotheses, references)
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
    similarity = compare(CiderSimilarity, hypotheses, references, [[reference] for reference in references])
    np.testing.assert_allclose(np.diag(similarity), expected, atol=1e-9)


def test_cider_of_a_long_sentence_with_itself_is_ten():
    assert compare(CiderSimilarity, [list("abcda")], [list("abcda")])[0, 0] == pytest.approx(10.0)
    assert compare(CiderSimilarity, [list("wxyz")], [list("abcda")])[0, 0] == 0.0


@pytest.mark.parametrize("make", [CiderSimilarity, bleu])
def test_rows_may_be_any_repeated_and_on_both_sides(make):
    random = np.random.default_rng(0)
    sentences = [list(random.choice(list("abcd"), length)) for length in random.integers(0, 9, 30)]
    similarity = make(SentenceTable(sentences), [np.arange(3), np.arange(3, 30)])
    everything = similarity(np.arange(30), np.arange(30))
    hypotheses, references = np.array([4, 7, 4]), np.array([7, 0, 7, 19, 3])
    found = similarity(hypotheses, references)
    np.testing.assert_allclose(found, everything[np.ix_(hypotheses, references)], atol=1e-12)


@given(SENTENCES, SENTENCES, st.lists(st.floats(-2, 2), min_size=8, max_size=8))
def test_weighted_sums_equal_a_product_with_all_similarities(hypotheses, references, values):
    weights = np.array(values).reshape(2, 4)[:, : len(references)]

    def of_all(make):
        return lambda table, images: lambda h, r: make(table, images)(h, r) @ weights.T

    def summed(make):
        return lambda table, images: lambda h, r: make(table, images).weighted_sums(h, r, weights)

    for make in (CiderSimilarity, bleu, cider_and_bleu, lambda table, _: BleuSimilarity(table, compat=True)):
        found = compare(summed(make), hypotheses, references)
        np.testing.assert_allclose(found, compare(of_all(make), hypotheses, references), atol=1e-9)


@given(SENTENCES, SENTENCES)
def test_sum_of_similarities_is_weighted(hypotheses, references):
    of_cider, of_bleu = (compare(make, hypotheses, references) for make in (CiderSimilarity, bleu))
    np.testing.assert_allclose(
        compare(cider_and_bleu, hypotheses, references), 0.5 * of_cider + 3.0 * of_bleu, atol=1e-9
    )


@given(SENTENCES, SENTENCES)
def test_bleu_equals_the_formula(hypotheses, references):
    expected = pairwise(plain_bleu, hypotheses, references)
    np.testing.assert_allclose(compare(bleu, hypotheses, references), expected, atol=1e-12)


def test_bleu_by_hand():
    # Matches of n-grams: 3 of 4 and 5, 2 of 3 and 4, 1 of 2 and 3, none.
    expected = (2 * 3 / 9 + 2 * 2 / 7 + 2 * 1 / 5 + 0) / 4
    assert compare(bleu, [list("abcx")], [list("yabcz")])[0, 0] == pytest.approx(expected)
    assert compare(bleu, [list("aa")], [list("a")])[0, 0] == pytest.approx((2 * 1 / 3) / 4)
    assert compare(bleu, [list("abcd")], [list("abcd")])[0, 0] == pytest.approx(1.0)


def test_bleu_of_the_authors_reproduces_their_bug():
    sentences = [list("abcd"), list("abc")]
    ours, theirs = (
        compare(lambda table, _, compat=compat: BleuSimilarity(table, compat), sentences, sentences)
        for compat in (False, True)
    )
    assert (ours > 0).all()
    np.testing.assert_array_equal(theirs, [[ours[0, 0], 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("make", [CiderSimilarity, bleu, cider_and_bleu])
def test_empty_captions_have_zero_similarity(make):
    np.testing.assert_array_equal(compare(make, [[], list("abc")], [[]]), [[0.0], [0.0]])
    assert compare(make, [list("abc"), []], []).shape == (2, 0)
    assert compare(make, [], [list("abc")]).shape == (0, 1)
