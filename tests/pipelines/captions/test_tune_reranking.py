"""The grid says what reranking with each setting would have scored."""

import numpy as np
import pytest

from model.metrics.captions import score_captions
from model.text.detokenize import join_words
from pipelines.captions.reranker import Reranker, rerank
from pipelines.captions.tune_reranking import tune_reranking
from schemas.errors import ArtifactError, ConfigurationError
from schemas.hypotheses import Hypothesis, ImageHypotheses, read_hypotheses
from schemas.io.files import read_json
from schemas.neighbors import Neighbors
from schemas.reranking import RerankingSetting, read_best_setting

RANDOM = np.random.default_rng(0)
WORDS = "a dog cat runs sits on the grass mat in park".split()


def sentence():
    return tuple(RANDOM.choice(WORDS, RANDOM.integers(4, 9)))


TRAINING = {f"train{number}": [list(sentence()) for _ in range(1 + number % 3)] for number in range(12)}
TARGETS = [f"val{number}" for number in range(25)]
REFERENCES = {image_id: [" ".join(sentence()) for _ in range(3)] for image_id in TARGETS}
IMAGES = [
    ImageHypotheses(image_id, tuple(Hypothesis(sentence(), -float(rank)) for rank in range(4 + number % 2)))
    for number, image_id in enumerate(TARGETS)
]
NEIGHBORS = {
    (kind, metric): Neighbors(
        TARGETS,
        list(TRAINING),
        np.stack([RANDOM.permutation(12) for _ in TARGETS]).astype(np.int32),
        np.zeros((25, 12), np.float32),
        kind,
        metric,
    )
    for kind in ("original", "refined")
    for metric in ("euclidean", "cosine")
}


def tune(path, **given):
    grid = {"similarities": ["cider", "bleu"], "ks": [2, 5], "ms": [3, 100], **given}
    neighbors = list(NEIGHBORS.values())
    return tune_reranking(IMAGES, neighbors, TRAINING, REFERENCES, **grid, path=path, progress=lambda *_: None)


def test_every_setting_scores_what_reranking_by_it_scores(tmp_path):
    best, scores_of_best = tune(tmp_path / "grid.json")
    grid = read_json(tmp_path / "grid.json")
    assert len(grid["settings"]) == 2 * (2 * 2 * 2 * 2 + 1)  # by similarity, and once a similarity without neighbors
    assert read_best_setting(tmp_path / "grid.json") == best
    assert grid["settings"][0]["CIDEr-D"] == scores_of_best["CIDEr-D"]
    assert [each["CIDEr-D"] for each in grid["settings"]] == sorted(
        (each["CIDEr-D"] for each in grid["settings"]), reverse=True
    )
    for record in grid["settings"]:
        setting = RerankingSetting(*(record[name] for name in ("similarity", "features", "metric", "k", "m")))
        neighbors = NEIGHBORS.get((setting.features, setting.metric))
        rerank(IMAGES, Reranker(IMAGES, neighbors, TRAINING, setting), tmp_path, lambda done: None)
        chosen = {image.image_id: join_words(image.captions[0].tokens) for image in read_hypotheses(tmp_path)}
        scores = score_captions(chosen, REFERENCES, with_java=False)
        for metric in ("CIDEr-D", "BLEU-4"):
            assert record[metric] == pytest.approx(scores.corpus[metric], rel=1e-6)
    first = {image.image_id: join_words(image.captions[0].tokens) for image in IMAGES}
    assert grid["unchanged"]["CIDEr-D"] == score_captions(first, REFERENCES, with_java=False).corpus["CIDEr-D"]


def test_in_a_small_corpus_all_neighbors_are_the_most_that_can_be_asked_for(tmp_path):
    tune(tmp_path / "grid.json", ks=[5, 60, 90])
    assert {each["k"] for each in read_json(tmp_path / "grid.json")["settings"]} == {0, 5, 12}


def test_an_empty_grid_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="is empty"):
        tune(tmp_path / "grid.json", ks=[])


def test_what_is_no_grid_is_an_error_that_names_it(tmp_path):
    (tmp_path / "grid.json").write_text('{"settings": []}')
    with pytest.raises(ArtifactError, match=r"grid\.json is not a grid"):
        read_best_setting(tmp_path / "grid.json")
