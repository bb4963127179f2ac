"""Word statistics on captions that can be counted by hand."""

from pipelines.report.data import WordShare
from pipelines.report.words import count_words


def test_words_are_counted_as_they_are_scored() -> None:
    words = count_words({"1": "A red, red dog."}, {"1": ["A dog runs!", "the dog"], "2": ["of another split"]})
    assert words.words == (3, 4)
    assert words.lengths == {2: (0.0, 0.5), 3: (0.0, 0.5), 4: (1.0, 0.0)}
    assert words.frequent[0] == WordShare("dog", 250.0, 400.0)
    assert [each.word for each in words.frequent] == ["dog", "a", "runs", "the", "red"]
    assert words.overused == (WordShare("red", 500.0, 0.0), WordShare("a", 250.0, 200.0))
    assert words.missing == (WordShare("runs", 0.0, 200.0), WordShare("the", 0.0, 200.0))


def test_empty_captions_have_no_words() -> None:
    words = count_words({"1": ""}, {"1": ["a dog"]})
    assert words.words == (0, 2)
    assert words.lengths == {0: (1.0, 0.0), 1: (0.0, 0.0), 2: (0.0, 1.0)}
    assert words.overused == ()
