"""Word statistics of captions that can be counted by hand."""

from pipelines.report.data import WordFrequency
from pipelines.report.words import count_words


def test_count_words_uses_the_scoring_tokenizer() -> None:
    words = count_words({"1": "A red, red dog."}, {"1": ["A dog runs!", "the dog"], "2": ["of another split"]})
    assert words.distinct == (3, 4)
    assert words.lengths == {2: (0.0, 0.5), 3: (0.0, 0.5), 4: (1.0, 0.0)}
    assert words.frequent[0] == WordFrequency("dog", 250.0, 400.0)
    assert [each.word for each in words.frequent] == ["dog", "a", "runs", "the", "red"]
    assert words.overused == (WordFrequency("red", 500.0, 0.0), WordFrequency("a", 250.0, 200.0))
    assert words.missing == (WordFrequency("runs", 0.0, 200.0), WordFrequency("the", 0.0, 200.0))


def test_count_words_accepts_empty_captions() -> None:
    words = count_words({"1": ""}, {"1": ["a dog"]})
    assert words.distinct == (0, 2)
    assert words.lengths == {0: (1.0, 0.0), 1: (0.0, 0.0), 2: (0.0, 1.0)}
    assert words.overused == ()
