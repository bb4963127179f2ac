"""Encoded captions: what was written comes back, split by split."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.annotations import SPLITS
from schemas.captions import read_captions, write_captions
from schemas.errors import ArtifactError
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "a", "dog", "runs"])
IMAGES = st.lists(
    st.tuples(
        st.sampled_from(SPLITS),
        st.lists(st.lists(st.sampled_from(["a", "dog", "runs", "<unk>"]), max_size=4), max_size=3),
    ),
    max_size=6,
)


@given(IMAGES)
def test_splits_round_trip_in_order(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("captions") / "captions.h5"
    ids = [f"é{number}" for number in range(len(images))]
    write_captions(path, VOCABULARY, ids, [split for split, _ in images], [captions for _, captions in images])
    for split in SPLITS:
        captions = read_captions(path, split, VOCABULARY)
        read = [
            (captions.image_ids[owner], VOCABULARY.decode(captions[index]))
            for index, owner in enumerate(captions.image_index)
        ]
        of_split = [(image_id, texts) for image_id, (of, texts) in zip(ids, images, strict=True) if of == split]
        assert captions.image_ids == [image_id for image_id, _ in of_split]
        assert read == [(image_id, text) for image_id, texts in of_split for text in texts]
        assert len(captions) == len(read)


def test_captions_of_some_images_are_those_captions(tmp_path):
    texts = [[["a"], ["a", "dog"]], [], [["dog", "runs"]], [["runs"]]]
    write_captions(tmp_path / "captions.h5", VOCABULARY, ["1", "2", "3", "4"], ["val"] * 4, texts)
    captions = read_captions(tmp_path / "captions.h5", "val", VOCABULARY).of_images(np.array([True, True, False, True]))
    assert captions.image_ids == ["1", "2", "4"]
    assert [VOCABULARY.decode(captions[index]) for index in range(len(captions))] == [["a"], ["a", "dog"], ["runs"]]
    assert captions.image_index.tolist() == [0, 0, 2]


def test_unknown_words_are_stored_as_such(tmp_path):
    write_captions(tmp_path / "captions.h5", VOCABULARY, ["1"], ["train"], [[["a", "zebra", "runs"]]])
    assert read_captions(tmp_path / "captions.h5", "train", VOCABULARY)[0].tolist() == [3, 1, 5]


def test_another_vocabulary_is_refused(tmp_path):
    write_captions(tmp_path / "captions.h5", VOCABULARY, ["1"], ["train"], [[["a"]]])
    with pytest.raises(ArtifactError, match="another vocabulary"):
        read_captions(tmp_path / "captions.h5", "train", Vocabulary([*SPECIAL_WORDS, "dog", "a", "runs"]))


def test_file_without_vocabulary_is_refused(tmp_path):
    write_captions(tmp_path / "captions.h5", VOCABULARY, ["1"], ["train"], [[["a"]]])
    with h5py.File(tmp_path / "captions.h5", "a") as file:
        del file.attrs["vocabulary_digest"]
    with pytest.raises(ArtifactError, match="captions"):
        read_captions(tmp_path / "captions.h5", "train", VOCABULARY)


def test_missing_file_is_an_artifact_error(tmp_path):
    with pytest.raises(ArtifactError, match="absent"):
        read_captions(tmp_path / "absent.h5", "train", VOCABULARY)
