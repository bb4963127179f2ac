"""Statistics of captions as texts, by hand."""

import pytest

from model.metrics.text_statistics import text_statistics

CAPTIONS = [("a", "dog", "runs"), ("a", "dog"), ("a", "dog")]
REFERENCES = [[("a", "dog", "runs", "fast"), ("dogs",)], [("dog",), ("a", "big", "dog", "here")], [("a", "dog")]]


def test_text_statistics_match_hand_computation():
    found = text_statistics(CAPTIONS, REFERENCES, {("a", "dog")})
    assert found["mean_length"] == pytest.approx(7 / 3)
    assert found["length_ratio"] == pytest.approx(7 / (4 + 1 + 2))
    assert (found["distinct_captions"], found["words_used"]) == (2, 3)
    assert found["distinct_1"] == pytest.approx(3 / 7)
    assert found["distinct_2"] == pytest.approx(2 / 4)
    assert found["share_in_training"] == pytest.approx(2 / 3)
    assert "share_in_training" not in text_statistics(CAPTIONS, REFERENCES)


def test_empty_captions_count_as_such():
    found = text_statistics([()], [[("a",)]])
    assert (found["mean_length"], found["length_ratio"], found["distinct_1"], found["distinct_2"]) == (0, 0, 0, 0)
