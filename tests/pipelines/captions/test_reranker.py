"""Reranking prefers the hypothesis that the captions of similar images agree with."""

from dataclasses import replace

import numpy as np
import pytest

from model.reranking.kernel_ridge import kernel_ridge_weights
from pipelines.captions.reranker import ImageWeights, Reranker, rerank, weigh_images
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


@pytest.mark.parametrize("similarity", ["cider", "bleu", "cider+bleu"])
def test_reranker_prefers_the_consensus_hypothesis(tmp_path, similarity):
    assert run(tmp_path, similarity=similarity) == {"images": 1, "first_changed": 1}
    (image,) = read_hypotheses(tmp_path)
    assert [each.log_prob for each in image.captions] == [-2.0, -1.0]
    (record,) = read_json_lines(tmp_path / "reranked.jsonl")
    assert record["neighbors"] == ["cat"]
    assert record["scores"] == sorted(record["scores"], reverse=True)


def test_reranker_ignores_neighbors_beyond_k(tmp_path):
    far = replace(NEIGHBORS, indices=np.array([[2, 0, 1]], np.int32))
    run(tmp_path, neighbors=far)
    (image,) = read_hypotheses(tmp_path)
    assert image.captions[0].log_prob == -1.0


def test_kernel_ridge_scores_are_weighted_mean_similarities(tmp_path):
    setting = RerankingSetting("bleu", "original", gamma=2.0, regularization=0.5)
    random = np.random.default_rng(0)
    references = {
        "a": ["a red car on a road".split(), "the car on the road".split()],
        "b": ["a cat sits on a mat".split()],
        "c": ["a dog runs".split(), "a dog".split(), "the dog runs on the grass".split()],
    }
    targets, training = random.normal(size=(2, 4)), random.normal(size=(3, 4))
    weights = weigh_images(["b", "t"], targets, list(references), training, setting)
    expected = kernel_ridge_weights(training, targets, 2.0, 0.5)
    expected[0, 1] = 0.0  # an image is not its own reference
    np.testing.assert_array_equal(weights.values, expected)
    reranked = Reranker(IMAGES, weights, references, setting)(IMAGES[0])
    naive = [
        sum(
            weight * np.mean([bleu(hypothesis.tokens, own) for own in references[name] if own != [*hypothesis.tokens]])
            for name, weight in zip("abc", expected[1], strict=True)
        )
        for hypothesis in IMAGES[0].captions
    ]
    assert reranked.scores == pytest.approx(sorted(naive, reverse=True), abs=1e-6)
    assert reranked.first_changed == (naive[1] > naive[0])
    assert reranked.neighbors == ["abc"[index] for index in np.argsort(-expected[1])]


def test_kernel_ridge_does_not_compare_a_hypothesis_with_itself(tmp_path):
    setting = RerankingSetting("bleu", "original", gamma=1.0, regularization=1.0)
    references = {"a": [list("abcd"), list("abcx")], "b": [list("abcd"), list("abcd")], "c": [list("bcdy")]}
    weights = ImageWeights(["t"], list(references), np.array([[0.5, 2.0, -1.0]], np.float32))
    image = ImageHypotheses("t", (Hypothesis(tuple("abcd"), None), Hypothesis(tuple("bcdx"), None)))
    reranked = Reranker([image], weights, references, setting)(image)
    scores = {
        "abcd": 0.5 * bleu("abcd", "abcx") - bleu("abcd", "bcdy"),  # nothing of b is another caption
        "bcdx": 0.25 * (bleu("bcdx", "abcd") + bleu("bcdx", "abcx")) + 2 * bleu("bcdx", "abcd") - bleu("bcdx", "bcdy"),
    }
    assert reranked.scores == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-6)


def bleu(hypothesis, reference):
    """Mean F1 of clipped n-gram matches, n-gram by n-gram."""
    total = 0.0
    for order in range(1, 5):
        own, other = (
            [tuple(side[at : at + order]) for at in range(len(side) - order + 1)] for side in (hypothesis, reference)
        )
        matches = sum(min(own.count(gram), other.count(gram)) for gram in set(own))
        total += 2 * matches / (len(own) + len(other)) if own and other else 0.0
    return total / 4


def test_image_weights_come_back_as_written(tmp_path):
    weights = ImageWeights(["t", "ü"], ["a", "b"], np.array([[1, 2], [3, -4]], np.float32))
    weights.write(tmp_path / "weights.npz")
    again = ImageWeights.read(tmp_path / "weights.npz")
    assert (again.target_ids, again.reference_ids) == (["t", "ü"], ["a", "b"])
    np.testing.assert_array_equal(again.of("ü"), [3, -4])
    with pytest.raises(ArtifactError, match="Image x has no features"):
        again.of("x")


def test_reranker_rejects_mismatched_artifacts(tmp_path):
    stranger = [ImageHypotheses("stranger", IMAGES[0].captions)]
    with pytest.raises(ArtifactError, match="Image stranger has no refined neighbors"):
        run(tmp_path, images=stranger)
    with pytest.raises(ArtifactError, match="Image cat is a neighbor without captions"):
        run(tmp_path, captions={"dog": CAPTIONS["dog"]})
