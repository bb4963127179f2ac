"""The vocabulary: its order, its file and invalid tokens."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ArtifactError
from schemas.vocabulary import BOS, PAD, SPECIAL_WORDS, UNK, Vocabulary

WORDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6).filter(
    lambda word: word.split() == [word] and word not in SPECIAL_WORDS
)


def test_vocabulary_is_sorted_by_count_then_alphabetically():
    captions = [["b", "a", "c"], ["c", "b", "a"], ["c", "rare"]]
    assert Vocabulary.from_captions(captions, min_count=2).words == (*SPECIAL_WORDS, "c", "a", "b")


def test_special_tokens_in_captions_are_not_counted():
    assert Vocabulary.from_captions([["<unk>", "<unk>", "a"]], min_count=1).words == (*SPECIAL_WORDS, "a")


def test_words_outside_the_vocabulary_become_unknown():
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a"])
    assert vocabulary.encode(["a", "zebra", "<bos>"]) == [3, UNK, BOS]
    assert vocabulary.decode([PAD, UNK, BOS, 3]) == ["<pad>", "<unk>", "<bos>", "a"]
    assert "a" in vocabulary and "zebra" not in vocabulary and len(vocabulary) == 4


@given(st.lists(WORDS, unique=True, max_size=8))
def test_vocabulary_round_trips(tmp_path_factory, words):
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.txt"
    vocabulary = Vocabulary([*SPECIAL_WORDS, *words])
    vocabulary.write(path)
    assert Vocabulary.read(path).words == vocabulary.words
    assert vocabulary.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert vocabulary.decode(vocabulary.encode(words)) == words


def test_line_number_is_the_id(tmp_path):
    Vocabulary([*SPECIAL_WORDS, "café", "z"]).write(tmp_path / "vocabulary.txt")
    assert (tmp_path / "vocabulary.txt").read_bytes() == "<pad>\n<unk>\n<bos>\ncafé\nz\n".encode()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b", "c"], "starts with <pad> <unk> <bos>"),
        ([*SPECIAL_WORDS, "a", "b", "a"], "'a' twice"),
        ([*SPECIAL_WORDS, ""], "Token 3"),
        ([*SPECIAL_WORDS, "two words"], "'two words'"),
        ([*SPECIAL_WORDS, "line\u2028end"], "white space"),
    ],
)
def test_malformed_vocabularies_are_refused(words, message):
    with pytest.raises(ArtifactError, match=message):
        Vocabulary(words)


@pytest.mark.parametrize("content", [None, b"", b"\xff\n", b"<pad>\n<unk>\n", b"<pad>\n<unk>\n<bos>\n\na\n"])
def test_corrupted_files_are_artifact_errors(tmp_path, content):
    if content is not None:
        (tmp_path / "vocabulary.txt").write_bytes(content)
    with pytest.raises(ArtifactError):
        Vocabulary.read(tmp_path / "vocabulary.txt")
