"""N-grams, their document frequencies, and sentences as a table."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.text.ngrams import SentenceTable, ngrams


def test_ngrams_are_counted_and_absent_from_short_captions():
    assert ngrams(["a", "b", "a", "b"], 2) == Counter({("a", "b"): 2, ("b", "a"): 1})
    assert ngrams(["a"], 2) == ngrams([], 1) == Counter()


def all_ngrams(words):
    return Counter(gram for order in range(1, 5) for gram in ngrams(words, order).elements())


@given(st.lists(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=3), max_size=4))
def test_document_frequency_counts_images(images):
    sentences = [words for captions in images for words in captions]
    ends = np.cumsum([len(captions) for captions in images], dtype=np.int64)
    documents = [np.arange(end - len(captions), end) for captions, end in zip(images, ends, strict=True)]
    table = SentenceTable(sentences)
    expected = Counter(
        gram for captions in images for gram in {gram for words in captions for gram in all_ngrams(words)}
    )
    frequencies = table.document_frequencies(documents)
    assert len(frequencies) == len(table.orders) == len(expected)
    assert sorted(zip(table.orders.tolist(), frequencies.tolist(), strict=True)) == sorted(
        (len(gram), count) for gram, count in expected.items()
    )


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=1, max_size=6), st.data())
def test_ngram_table_returns_the_counts(sentences, data):
    table = SentenceTable(sentences)
    rows, others = (
        np.array(data.draw(st.lists(st.integers(0, len(sentences) - 1), max_size=8)), np.int64) for _ in range(2)
    )
    dense, columns = table.counts(others)
    assert dense.shape[1] == len({gram for row in others for gram in all_ngrams(sentences[row])})
    for counts, row in zip(dense, others, strict=True):
        expected = sorted((len(gram), count) for gram, count in all_ngrams(sentences[row]).items())
        here = np.flatnonzero(counts)
        assert sorted(zip(table.orders[columns[here]].tolist(), counts[here].tolist(), strict=True)) == expected
    owners, places, counts = table.entries(rows, columns)
    assert (np.diff(owners) >= 0).all()
    shared = np.zeros((len(rows), len(columns)))
    shared[owners, places] = counts
    for row, known in zip(rows, shared, strict=True):
        for other, theirs in zip(others, dense, strict=True):
            common = all_ngrams(sentences[row]) & all_ngrams(sentences[other])
            assert np.minimum(known, theirs).sum() == common.total()
    assert table.lengths.tolist() == [len(words) for words in sentences]


SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), max_size=5)


@given(SENTENCES, SENTENCES)
def test_ngram_tables_align_their_columns(sentences, others):
    table, other = SentenceTable(sentences), SentenceTable(others)
    places = table.columns_in(other)
    assert len(places) == len(table.orders)
    known = {gram for words in others for gram in all_ngrams(words)}
    for row, words in enumerate(sentences):
        counts, columns = table.counts(np.array([row]))
        grams = all_ngrams(words)
        expected = Counter({gram: count for gram, count in grams.items() if gram in known})
        inside = places[columns] >= 0
        assert counts[0, inside].sum() == expected.total()
        assert counts[0, ~inside].sum() == grams.total() - expected.total()
        for row_there, there in enumerate(others):
            _, _, their_counts = other.entries(np.array([row_there]), np.sort(places[columns[inside]]))
            assert their_counts.sum() == sum(all_ngrams(there)[gram] for gram in expected)
    shared = places[places >= 0]
    assert len(set(shared.tolist())) == len(shared)
    np.testing.assert_array_equal(table.orders[places >= 0], other.orders[shared])
