"""Merged hypotheses against a merge written with lists, and the artifact."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.captions.pool_captions import PoolInputs, merge_hypotheses, pool_captions, retrieve_captions
from schemas.errors import ConfigurationError
from schemas.hypotheses import (
    Hypothesis,
    ImageHypotheses,
    SearchSetting,
    read_hypotheses,
    read_search,
    write_hypotheses,
)
from schemas.io.files import write_json_lines
from schemas.neighbors import Neighbors, write_neighbors

CAPTION = st.lists(st.sampled_from("ab"), min_size=1, max_size=2).map(tuple)
CAPTIONS = st.lists(CAPTION, max_size=4, unique=True)
SOURCES = st.dictionaries(
    st.sampled_from(["beam", "samples", "seed 1"]),
    st.dictionaries(st.sampled_from(["one", "two"]), CAPTIONS, max_size=2),
    min_size=1,
)
NEIGHBORS = Neighbors(
    ["one", "two"],
    ["near", "far", "one"],
    np.array([[2, 0, 1], [1, 0, 2]], np.int32),
    np.zeros((2, 3), np.float32),
    "original",
    "euclidean",
)
TRAINING = {"near": [["a", "cat"], []], "far": [["a", "dog"], ["a", "cat"]], "one": [["it"]]}


def image(image_id: str, *captions: Sequence[str], log_prob: float | None = -1.0) -> ImageHypotheses:
    return ImageHypotheses(image_id, tuple(Hypothesis(tuple(words), log_prob) for words in captions))


@given(SOURCES)
def test_merge_hypotheses_equals_a_merge_with_lists(sources):
    merged = merge_hypotheses(
        {
            name: [image(each, *own, log_prob=-len(name)) for each, own in images.items()]
            for name, images in sources.items()
        }
    )
    ids = [each for images in sources.values() for each in images]
    assert [each.image_id for each in merged] == sorted(set(ids), key=ids.index)
    for found in merged:
        in_order = [words for images in sources.values() for words in images.get(found.image_id, [])]
        assert [each.tokens for each in found.captions] == sorted(set(in_order), key=in_order.index)
        for each in found.captions:
            origins = tuple(name for name, images in sources.items() if each.tokens in images.get(found.image_id, []))
            assert each.origins == origins
            assert each.log_prob == -len(origins[0])


def test_merge_hypotheses_takes_the_log_prob_of_the_first_source_that_has_one():
    sources = {name: [image("one", ["a"], log_prob=value)] for name, value in (("x", None), ("y", -2.0), ("z", -3.0))}
    (merged,) = merge_hypotheses(sources)
    assert merged.captions == (Hypothesis(("a",), -2.0, ("x", "y", "z")),)


def test_merge_hypotheses_without_a_source_is_an_error():
    with pytest.raises(ConfigurationError, match="pool is empty"):
        merge_hypotheses({})


def test_retrieve_captions_takes_those_of_the_nearest_other_images():
    one, two = retrieve_captions(["one", "two"], NEIGHBORS, TRAINING, 2)
    assert [each.tokens for each in one.captions] == [("a", "cat"), ("a", "dog"), ("a", "cat")]
    assert [each.tokens for each in two.captions] == [("a", "dog"), ("a", "cat"), ("a", "cat")]


def test_pool_captions_writes_hypotheses_with_their_origins(tmp_path):
    write_hypotheses(tmp_path / "beam", [image("one", ["a", "cat"], ["it"]), image("two", ["it"])])
    write_hypotheses(tmp_path / "samples", [image("one", ["it"]), image("two", ["a"])])
    (tmp_path / "neighbors").mkdir()
    write_neighbors(tmp_path / "neighbors" / "neighbors.h5", NEIGHBORS)
    records = [{"image_id": image_id, "split": "train", "tokens": tokens} for image_id, tokens in TRAINING.items()]
    write_json_lines(tmp_path / "captions" / "tokens.jsonl", records)
    generated = {name: tmp_path / name for name in ("beam", "samples")}
    counts = pool_captions(PoolInputs(generated, tmp_path / "neighbors", tmp_path / "captions"), tmp_path, 1)
    one, two = read_hypotheses(tmp_path)
    assert one.captions == (
        Hypothesis(("a", "cat"), -1.0, ("beam", "neighbors")),
        Hypothesis(("it",), -1.0, ("beam", "samples")),
    )
    assert two.captions == (
        Hypothesis(("it",), -1.0, ("beam",)),
        Hypothesis(("a",), -1.0, ("samples",)),
        Hypothesis(("a", "dog"), None, ("neighbors",)),
        Hypothesis(("a", "cat"), None, ("neighbors",)),
    )
    assert counts == {"images": 2, "hypotheses": 6, "beam": 3, "samples": 2, "neighbors": 3}
    assert read_search(tmp_path) == SearchSetting("pool", 4)
