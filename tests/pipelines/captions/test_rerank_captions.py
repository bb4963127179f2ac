"""Reranking in shards equals reranking in one process, and resumes."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from pipelines.captions.rerank_captions import RerankingJob, rerank_split
from pipelines.captions.reranker import Reranker, rerank, weigh_images
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Engine, Sharding
from pipelines.engines.inputs import cache_directory
from pipelines.engines.shards import plan_shards
from schemas.errors import ArtifactError
from schemas.features import FeatureDescription, FeatureFile, write_features
from schemas.hypotheses import Hypothesis, ImageHypotheses, SearchSetting, read_search, write_hypotheses, write_search
from schemas.io.files import write_json_lines
from schemas.neighbors import Neighbors, write_neighbors
from schemas.reranking import RerankingSetting, read_setting
from tests.support.engines import SerialEngine

SERIAL, BEAM = SerialEngine(), BeamEngine()
SETTING = RerankingSetting("cider", "refined", "euclidean", 4, 6)
KERNEL_RIDGE = RerankingSetting("cider", "original", gamma=2.0, regularization=0.5)
FILES = ("hypotheses.jsonl", "reranked.jsonl")
SEARCH = SearchSetting("n-best", 4)


@pytest.fixture
def dataset(tmp_path):
    """Images, neighbors and training captions, also as artifacts."""
    random = np.random.default_rng(0)

    def sentence():
        return tuple(random.choice("a dog cat runs sits on the grass mat in park é".split(), random.integers(3, 9)))

    training = {f"train{number}": [list(map(str, sentence())) for _ in range(2)] for number in range(9)}
    images = [
        ImageHypotheses(f"test{number}", tuple(Hypothesis(tuple(map(str, sentence())), -rank / 3) for rank in range(5)))
        for number in range(11)
    ]
    indices = np.stack([random.permutation(9) for _ in images]).astype(np.int32)
    ids = [image.image_id for image in images]
    neighbors = Neighbors(ids, list(training), indices, np.zeros(indices.shape, np.float32), "refined", "euclidean")
    write_hypotheses(tmp_path / "hypotheses", images)
    write_search(tmp_path / "hypotheses", SEARCH)
    write_json_lines(
        tmp_path / "captions" / "tokens.jsonl",
        [{"image_id": image_id, "split": "train", "tokens": tokens} for image_id, tokens in training.items()]
        + [{"image_id": "test0", "split": "test", "tokens": [["never", "looked", "at"]]}],
    )
    features = random.normal(size=(20, 5)).astype(np.float32)
    description = FeatureDescription("random", "none", "0", "toys")
    write_features(tmp_path / "features" / "features.h5", [*training, *ids], features, description)
    (tmp_path / "neighbors").mkdir()
    write_neighbors(tmp_path / "neighbors" / "neighbors.h5", neighbors)
    return images, neighbors, training


def _weights(root, images, training):
    file = FeatureFile(root / "features" / "features.h5")
    ids = [image.image_id for image in images]
    return weigh_images(ids, file.read(ids), list(training), file.read(list(training)), KERNEL_RIDGE)


def job(root: Path, **given) -> RerankingJob:
    settings = {"images": root / "neighbors", "setting": SETTING, **given}
    return RerankingJob(root / "hypotheses", root / "captions", **settings)


def run(root: Path, shards: int, engine: Engine = SERIAL, **given):
    return rerank_split(job(root, **given), root / "out", Sharding(engine, shards, str(root / "shards")))


@pytest.mark.parametrize(("shards", "engine"), [(1, SERIAL), (3, BEAM), (20, SERIAL)], ids=["1", "3-beam", "20"])
@pytest.mark.parametrize("method", ["consensus", "kernel-ridge", "self-consensus"])
def test_rerank_split_writes_the_same_bytes_for_any_number_of_shards(dataset, tmp_path, shards, engine, method):
    images, neighbors, training = dataset
    setting, compared, own = {
        "consensus": (SETTING, tmp_path / "neighbors", neighbors),
        "kernel-ridge": (KERNEL_RIDGE, tmp_path / "features", _weights(tmp_path, images, training)),
        "self-consensus": (RerankingSetting("bleu"), None, None),
    }[method]
    expected = rerank(images, Reranker(images, own, training, setting), tmp_path / "expected", lambda done: None)
    assert expected["first_changed"] > 0
    assert run(tmp_path, shards, engine, images=compared, setting=setting) == expected
    assert (read_search(tmp_path / "out"), read_setting(tmp_path / "out")) == (SEARCH, setting)
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()


@pytest.mark.parametrize("method", ["consensus", "kernel-ridge"])
def test_rerank_split_by_a_shared_directory_writes_the_same_bytes(dataset, tmp_path, method, place, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    setting, compared, copied = {
        "consensus": (SETTING, tmp_path / "neighbors", "neighbors.h5"),
        "kernel-ridge": (KERNEL_RIDGE, tmp_path / "features", "weights.npz"),
    }[method]
    run(tmp_path, 2, images=compared, setting=setting)
    expected = {name: (tmp_path / "out" / name).read_bytes() for name in FILES}
    sharding = Sharding(SERIAL, 3, f"{place}/shards", f"{place}/inputs")
    rerank_split(job(tmp_path, images=compared, setting=setting), tmp_path / "far", sharding)
    assert {name: (tmp_path / "far" / name).read_bytes() for name in FILES} == expected
    copies = {path.name for path in cache_directory().glob("*/*")}
    assert copies == {"hypotheses.jsonl", "tokens.jsonl", copied}


def test_rerank_split_keeps_complete_shards(dataset, tmp_path):
    run(tmp_path, 4)
    made = {name: (tmp_path / "out" / name).read_bytes() for name in FILES}
    ids = [image.image_id for image in dataset[0]]
    kept, lost, *_ = plan_shards(len(ids), str(tmp_path / "shards"), 4, "reranked.jsonl")
    Path(lost.path).unlink()
    before = Path(kept.path).stat().st_mtime_ns
    run(tmp_path, 4)
    assert Path(kept.path).stat().st_mtime_ns == before
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == made


def test_rerank_split_reports_images_without_features(dataset, tmp_path):
    write_hypotheses(tmp_path / "hypotheses", [ImageHypotheses("stranger", dataset[0][0].captions)])
    with pytest.raises(ArtifactError, match="no features of image stranger"):
        run(tmp_path, 2, images=tmp_path / "features", setting=KERNEL_RIDGE)


def test_rerank_split_raises_the_error_of_a_worker(dataset, tmp_path):
    write_hypotheses(tmp_path / "hypotheses", [ImageHypotheses("stranger", dataset[0][0].captions)])
    with pytest.raises(ArtifactError, match="Image stranger has no refined neighbors"):
        run(tmp_path, 2, setting=RerankingSetting("bleu", "refined", "euclidean", 4, 6))
