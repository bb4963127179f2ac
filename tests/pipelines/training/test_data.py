"""Inputs of training and evaluation from a split."""

import pytest

from pipelines.training.data import read_training_data
from schemas.captions import write_captions
from schemas.errors import InputError
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary


def test_split_without_captions_is_refused_with_the_alternatives(tmp_path):
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a"])
    vocabulary.write(tmp_path / "vocabulary.txt")
    write_captions(tmp_path / "captions.h5", vocabulary, ["1", "2"], ["train", "unlabeled"], [[["a"]], []])
    with pytest.raises(InputError, match="no captions in the split 'unlabeled'; choose train, val or test"):
        read_training_data(tmp_path, tmp_path, "unlabeled")
