"""Reranking prefers what the captions of similar images say."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.captions.reranker import Reranker, rerank
from schemas.errors import ArtifactError
from schemas.hypotheses import Hypothesis, ImageHypotheses, read_hypotheses
from schemas.io.files import read_json_lines
from schemas.neighbors import Neighbors
from schemas.reranking import RerankingSetting

CAPTIONS = {
    "cat": ["a cat sits on a mat".split()] * 2,
    "dog": ["a dog runs on the grass".split()] * 2,
    "car": ["a red car on a road".split()] * 2,
}
NEIGHBORS = Neighbors(
    ["t"],
    list(CAPTIONS),
    np.array([[0, 1, 2]], np.int32),
    np.array([[0.0, 1.0, 2.0]], np.float32),
    "refined",
    "euclidean",
)
IMAGES = [
    ImageHypotheses(
        "t",
        (
            Hypothesis(tuple("a red car on a road".split()), -1.0),
            Hypothesis(tuple("a cat sits on the mat".split()), -2.0),
        ),
    )
]


def run(directory, images=IMAGES, captions=CAPTIONS, similarity="cider", k=1, neighbors=NEIGHBORS):
    setting = RerankingSetting(similarity, "refined", "euclidean", k, 125)
    return rerank(images, Reranker(images, neighbors, captions, setting), directory, lambda done: None)


@pytest.mark.parametrize("similarity", ["cider", "bleu"])
def test_the_hypothesis_that_neighbors_agree_with_comes_first(tmp_path, similarity):
    assert run(tmp_path, similarity=similarity) == {"images": 1, "first_changed": 1}
    (image,) = read_hypotheses(tmp_path)
    assert [each.log_prob for each in image.captions] == [-2.0, -1.0]
    (record,) = read_json_lines(tmp_path / "reranked.jsonl")
    assert record["neighbors"] == ["cat"]
    assert record["scores"] == sorted(record["scores"], reverse=True)


def test_neighbors_beyond_k_have_no_say(tmp_path):
    far = replace(NEIGHBORS, indices=np.array([[2, 0, 1]], np.int32))
    run(tmp_path, neighbors=far)
    (image,) = read_hypotheses(tmp_path)
    assert image.captions[0].log_prob == -1.0


def test_artifacts_that_do_not_belong_together_are_an_error(tmp_path):
    stranger = [ImageHypotheses("stranger", IMAGES[0].captions)]
    with pytest.raises(ArtifactError, match="Image stranger has no refined neighbors"):
        run(tmp_path, images=stranger)
    with pytest.raises(ArtifactError, match="Image cat is a neighbor without captions"):
        run(tmp_path, captions={"dog": CAPTIONS["dog"]})
