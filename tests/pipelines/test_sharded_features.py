"""Stages that read features give the same artifacts from a sharded features artifact."""

import numpy as np
import pytest

from model.mrnn.network import load_network
from model.reranking.config import NeighborConfig
from model.training.config import TrainModelConfig
from pipelines.captions.find_neighbors import FindNeighborsInputs, find_neighbors
from pipelines.training.data import TrainingInputs
from pipelines.training.refine_features import refine_artifact
from pipelines.training.train_model import train_model
from schemas.annotations import AnnotatedImage, write_annotations
from schemas.captions import write_captions
from schemas.checkpoint import read_checkpoint
from schemas.features import FeatureDescription, FeatureFile, write_features
from schemas.io.files import digest_file
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary
from tests.support.artifacts import shard_features
from tests.support.toy_release import make_toy
from tests.support.training import configure, silent

SPLITS = ["train"] * 12 + ["val"] * 4 + ["test"] * 4


@pytest.fixture
def artifacts(tmp_path):
    """Captions and features of twenty images."""
    random = np.random.default_rng(0)
    words = "a dog cat runs sits".split()
    vocabulary = Vocabulary([*SPECIAL_WORDS, *words])
    ids = [f"image{number}" for number in range(20)]
    (tmp_path / "captions").mkdir()
    vocabulary.write(tmp_path / "captions" / "vocabulary.txt")
    captions = [[[str(word) for word in random.choice(words, 4)] for _ in range(2)] for _ in ids]
    write_captions(tmp_path / "captions" / "captions.h5", vocabulary, ids, SPLITS, captions)
    images = [AnnotatedImage(each, f"{each}.jpg", split, 1, 1, ("a",)) for each, split in zip(ids, SPLITS, strict=True)]
    write_annotations(tmp_path / "annotations", images)
    rows = random.standard_normal((20, 6)).astype(np.float16)
    (tmp_path / "features").mkdir()
    write_features(tmp_path / "features" / "features.h5", ids, rows, FeatureDescription("toy", "none", "0", "toys"))
    return tmp_path


def compute(root, name):
    """Trains, refines and searches; returns weights and refined features, and the digest of the neighbors."""
    model, refined, neighbors = (root / f"{each} {name}" for each in ("model", "refined", "neighbors"))
    for directory in (model, refined, neighbors):
        directory.mkdir()
    config = configure(
        TrainModelConfig(), epochs=1, batch_size=8, embedding_size=4, recurrent_size=5, multimodal_size=6, beam_width=1
    )
    train_model(model, TrainingInputs(root / "captions", root / "features"), config, silent)
    refine_artifact(refined, model, root / "features", "toys", silent)
    inputs = FindNeighborsInputs(root / "features", root / "annotations")
    find_neighbors(inputs, neighbors, split="test", kind="toy", config=NeighborConfig(count=5), progress=silent)
    weights = load_network(read_checkpoint(model).network).get_weights()
    rows = FeatureFile(refined / "features.h5").features
    return [*weights, rows], digest_file(neighbors / "neighbors.h5")


@pytest.mark.usefixtures("eagerly")
def test_training_refinement_and_neighbors_are_the_same(artifacts):
    merged, neighbors = compute(artifacts, "merged")
    shard_features(artifacts / "features" / "features.h5", 3)
    sharded, neighbors_of_sharded = compute(artifacts, "sharded")
    assert len(merged) == len(sharded)
    for one, other in zip(merged, sharded, strict=True):
        np.testing.assert_array_equal(one, other)
    assert neighbors == neighbors_of_sharded


def test_release_is_the_same(tmp_path):
    toy = make_toy(tmp_path)
    merged = toy.release("merged", formats=["npy", "mrnn"])
    for kind in ("original", "refined"):
        shard_features(toy.sources[kind] / "features.h5", 4)
    sharded = toy.release("sharded", formats=["npy", "mrnn"])
    names = sorted(path.relative_to(merged) for path in merged.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(sharded) for path in sharded.rglob("*") if path.is_file())
    assert {name: digest_file(merged / name) for name in names} == {name: digest_file(sharded / name) for name in names}
