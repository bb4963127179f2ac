"""The `mrnn rerank` command."""

import json

import numpy as np
import pytest

from pipelines.captions.rerank_file import rerank_file
from schemas.errors import ArtifactError, ConfigurationError, InputError
from schemas.neighbors import Neighbors, write_neighbors
from schemas.reranking import RerankingSetting

REFERENCES = {
    "cat": ["A cat sits on a mat.", "The cat is on the mat."],
    "dog": ["A dog runs on the grass.", "The dog runs."],
    "car": ["A red car on a road.", "A car drives on the road."],
}
HYPOTHESES = {
    "7": ["A red car on a road", "a cat sits on the mat", "a cat is on a mat"],
    "8": ["the cat", "the dog runs"],
}
FEATURES = {"cat": [1, 0], "dog": [0, 1], "car": [-1, -1], "7": [2, 0.1], "8": [0.1, 2]}


@pytest.fixture
def files(tmp_path):
    for name, captions in (("references", REFERENCES), ("hypotheses_of_mine", HYPOTHESES)):
        lines = [json.dumps({"image_id": image, "captions": texts}) for image, texts in captions.items()]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    np.savez(tmp_path / "features.npz", ids=np.array(list(FEATURES)), F=np.array(list(FEATURES.values()), np.float32))
    return tmp_path


def run(files, k=1, m=10, similarity="cider", setting=None, **given):
    return rerank_file(
        files / "hypotheses_of_mine.jsonl",
        files / "references.jsonl",
        files / "out",
        setting=setting or RerankingSetting(similarity, "given", "euclidean", k, m),
        **given,
        progress=lambda done: None,
    )


def best(files):
    return {
        record["image_id"]: record["caption"] for record in json.loads((files / "out" / "results.json").read_text())
    }


def test_rerank_orders_captions_by_features(files, mrnn):
    given = [files / name for name in ("hypotheses_of_mine.jsonl", "references.jsonl")]
    done = mrnn("rerank", *given, "--out", files / "out", "--features", files / "features.npz", "-k", 1, "-m", 10)
    assert done.returncode == 0, done.stderr
    assert "2 images reranked, 2 with another first caption" in done.stdout
    assert best(files)["8"] == "the dog runs"
    assert best(files)["7"].startswith("a cat")


def test_rerank_by_kernel_ridge_takes_all_references(files, mrnn):
    given = [files / name for name in ("hypotheses_of_mine.jsonl", "references.jsonl")]
    options = ["--method", "kernel-ridge", "--gamma", "4", "--regularization", "0.1"]
    done = mrnn("rerank", *given, "--out", files / "out", "--features", files / "features.npz", *options)
    assert done.returncode == 0, done.stderr
    assert best(files)["8"] == "the dog runs"
    assert best(files)["7"].startswith("a cat")
    records = map(json.loads, (files / "out" / "reranked.jsonl").read_text().splitlines())
    assert [record["neighbors"][0] for record in records] == ["cat", "dog"]


@pytest.mark.parametrize("similarity", ["cider", "bleu", "cider+bleu", "bleu-compat"])
def test_rerank_reads_neighbors_from_a_file(files, similarity):
    indices = np.array([[2, 0], [0, 1]], np.int32)
    far = Neighbors(["7", "8"], list(REFERENCES), indices, np.zeros((2, 2), np.float32), "refined", "euclidean")
    write_neighbors(files / "neighbors.h5", far)
    run(files, neighbors=files / "neighbors.h5", similarity=similarity)
    assert best(files)["7"] == "a red car on a road"


def test_rerank_without_images_is_self_consensus(files):
    assert run(files, setting=RerankingSetting("cider"))["images"] == 2
    assert best(files)["7"].startswith("a cat")


def test_rerank_excludes_the_image_itself(files):
    (files / "hypotheses_of_mine.jsonl").write_text(
        json.dumps({"image_id": "cat", "captions": ["a cat", "a dog runs"]})
    )
    run(files, features=files / "features.npz")
    (record,) = map(json.loads, (files / "out" / "reranked.jsonl").read_text().splitlines())
    assert record["neighbors"] == ["dog"]


def test_rerank_reports_incompatible_inputs(files):
    with pytest.raises(ConfigurationError, match="consensus takes either --neighbors or --features"):
        run(files, neighbors=files / "n.h5", features=files / "features.npz")
    kernel_ridge = RerankingSetting("cider", "given", gamma=1.0, regularization=1.0)
    with pytest.raises(ConfigurationError, match="kernel-ridge takes either"):
        run(files, setting=kernel_ridge)
    with pytest.raises(ConfigurationError, match="give --features, not --neighbors"):
        run(files, setting=kernel_ridge, neighbors=files / "n.h5")
    with pytest.raises(ConfigurationError, match="no similarity 'rouge'"):
        run(files, features=files / "features.npz", similarity="rouge")
    np.savez(files / "few.npz", ids=np.array(["7", "cat"]), F=np.eye(2, dtype=np.float32))
    with pytest.raises(InputError, match=r"few\.npz has no features of image 8 \(and 0 more\)"):
        run(files, features=files / "few.npz")
    with pytest.raises(ArtifactError, match=r"absent\.h5"):
        run(files, neighbors=files / "absent.h5")
