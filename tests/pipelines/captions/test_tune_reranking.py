"""The grid contains the scores of reranking with each setting."""

from dataclasses import fields

import numpy as np
import pytest

from model.metrics.captions import score_captions
from model.reranking.config import RerankingGrid
from model.text.detokenize import join_words
from pipelines.captions.reranker import Reranker, rerank, weigh_images
from pipelines.captions.tune_reranking import TuneRerankingInputs, tune_reranking
from schemas.annotations import AnnotatedImage, write_annotations
from schemas.errors import ArtifactError, ConfigurationError
from schemas.features import FeatureDescription, write_features
from schemas.hypotheses import Hypothesis, ImageHypotheses, read_hypotheses, write_hypotheses
from schemas.io.files import read_json, write_json_lines
from schemas.neighbors import Neighbors, write_neighbors
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
FEATURES = {kind: RANDOM.normal(size=(37, 6)).astype(np.float32) for kind in ("original", "refined")}
GRID = {
    "similarities": ("cider", "bleu"),
    "ks": (2, 5),
    "ms": (3, 100),
    "gammas": (1.0, 4.0),
    "regularizations": (0.5,),
}


@pytest.fixture
def inputs(tmp_path):
    """Artifacts of the validation split."""
    write_hypotheses(tmp_path / "hypotheses", IMAGES)
    annotated = [AnnotatedImage(each, f"{each}.jpg", "val", 8, 8, tuple(REFERENCES[each])) for each in TARGETS]
    write_annotations(tmp_path / "annotations", annotated)
    records = [{"image_id": image_id, "split": "train", "tokens": tokens} for image_id, tokens in TRAINING.items()]
    write_json_lines(tmp_path / "captions" / "tokens.jsonl", records)
    neighbors = []
    for (kind, metric), each in NEIGHBORS.items():
        neighbors.append(tmp_path / f"neighbors_{kind}_{metric}")
        neighbors[-1].mkdir()
        write_neighbors(neighbors[-1] / "neighbors.h5", each)
    for kind, rows in FEATURES.items():
        description = FeatureDescription(kind, "none", "0", "toys")
        write_features(tmp_path / kind / "features.h5", [*TRAINING, *TARGETS], rows, description)
    features = {kind: tmp_path / kind for kind in FEATURES}
    return TuneRerankingInputs(
        *(tmp_path / each for each in ("hypotheses", "annotations", "captions")), neighbors, features
    )


def tune(inputs, directory, **given):
    return tune_reranking(inputs, directory, RerankingGrid(**{**GRID, **given}), lambda *_: None)


def compared_images(setting):
    """What a setting compares images by."""
    if setting.method == "kernel-ridge":
        rows = FEATURES[setting.features]
        return weigh_images(TARGETS, rows[12:], list(TRAINING), rows[:12], setting)
    return NEIGHBORS.get((setting.features, setting.metric))


def test_tune_reranking_scores_each_setting_as_reranking_does(inputs, tmp_path):
    best, scores_of_best = tune(inputs, tmp_path)
    grid = read_json(tmp_path / "grid.json")
    # By similarity and kind of features: two metrics, k and m each, and two values of gamma; self-consensus once.
    assert len(grid["settings"]) == 2 * (2 * (2 * 2 * 2 + 2) + 1)
    assert read_best_setting(tmp_path / "grid.json") == best
    assert grid["settings"][0]["CIDEr-D"] == scores_of_best["CIDEr-D"]
    assert [each["CIDEr-D"] for each in grid["settings"]] == sorted(
        (each["CIDEr-D"] for each in grid["settings"]), reverse=True
    )
    for record in grid["settings"]:
        setting = RerankingSetting(**{field.name: record[field.name] for field in fields(RerankingSetting)})
        assert setting.tuned_on == "val"
        reranker = Reranker(IMAGES, compared_images(setting), TRAINING, setting)
        rerank(IMAGES, reranker, tmp_path, lambda done: None)
        chosen = {image.image_id: join_words(image.captions[0].tokens) for image in read_hypotheses(tmp_path)}
        scores = score_captions(chosen, REFERENCES)
        for metric in ("CIDEr-D", "BLEU-4"):
            assert record[metric] == pytest.approx(scores.corpus[metric], rel=1e-6)
    first = {image.image_id: join_words(image.captions[0].tokens) for image in IMAGES}
    assert grid["unchanged"]["CIDEr-D"] == score_captions(first, REFERENCES).corpus["CIDEr-D"]


def test_tune_reranking_limits_k_to_the_known_neighbors(inputs, tmp_path):
    tune(inputs, tmp_path, ks=(5, 60, 90))
    assert {each["k"] for each in read_json(tmp_path / "grid.json")["settings"]} == {0, 5, 12}


def test_empty_grid_is_rejected():
    with pytest.raises(ConfigurationError, match="is empty; set ks, gammas"):
        RerankingGrid(ks=(), gammas=())


def test_read_best_setting_rejects_other_files(tmp_path):
    (tmp_path / "grid.json").write_text('{"settings": []}')
    with pytest.raises(ArtifactError, match=r"grid\.json is not a grid"):
        read_best_setting(tmp_path / "grid.json")
