"""The `mrnn caption` command."""

import json
import shutil

import numpy as np
import pytest

import tasks
from schemas.errors import ConfigurationError
from schemas.features import FeatureDescription, write_features
from schemas.reranking import RerankingSetting, write_grid
from tasks.cli.caption import _check, _find_captioner, _reranking_setting
from tasks.training.trained_model import model_features_stage
from tests.support.artifacts import make_artifact
from tests.support.toy_captioner import ToyCaptioner


@pytest.fixture(scope="module")
def captioner(tmp_path_factory) -> ToyCaptioner:
    return ToyCaptioner(tmp_path_factory.mktemp("captioner"), "hub")


def test_caption_writes_captions_and_names_an_unreadable_image(captioner, mrnn, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(captioner.images_dir / "p0.png", folder / "good.png")
    (folder / "bad\x1b[31m.png").write_bytes(b"no image")
    settings = ("--set", "RerankCaptions.k=2", "--set", "GenerateCaptions.min_length=3")
    done = mrnn("caption", folder, "--model", captioner.model, "--out", tmp_path / "out", *settings)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "good.png"
    assert "1 image captioned, gallery: " in done.stdout
    assert done.stderr.startswith("1 of 2 images could not be read and were skipped (bad\\x1b[31m.png: the file is not")
    assert len(done.stderr.splitlines()) == 1, "nothing of TensorFlow"
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written >= {"captions.jsonl", "captions.csv", "gallery.html", "rejects.jsonl"}
    (record,) = map(json.loads, (tmp_path / "out" / "captions.jsonl").read_text().splitlines())
    best = record["captions"][0]
    assert done.stdout.splitlines()[1].split() == [f"{best['probability']:.2g}", *best["text"].split()]
    assert all(len(each["text"].split()) >= 3 for each in record["captions"])
    assert best["consensus"] is not None and len(record["captions"]) == 10, "reranked, as training captions are there"
    assert len(record["neighbors"]) == 2


def test_caption_json_without_reranking_orders_by_probability(captioner, mrnn):
    done = mrnn("caption", captioner.images_dir, "--model", captioner.model, "--no-rerank", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [record["image"] for record in found["captioned"]] == captioner.ids and found["rejected"] == []
    for record in found["captioned"]:
        probabilities = [each["probability"] for each in record["captions"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(each["consensus"] is None for each in record["captions"])


def test_caption_without_a_trained_model_names_the_remedy(captioner, mrnn):
    done = mrnn("caption", captioner.images_dir / "p0.png", "--config", "shapes-finetuned")
    assert done.returncode == 1
    assert "train the model of this configuration with `mrnn run`, or give a model with --model." in done.stderr


def test_caption_uses_the_pretrained_captioner_by_default(captioner, mrnn):
    done = mrnn("caption", captioner.images_dir / "p0.png", "--json")
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)["captioned"]
    assert len(record["captions"][0]["text"].split()) >= 3
    assert done.stderr == ""


def test_caption_names_a_missing_image_before_anything_is_loaded(captioner, mrnn, tmp_path):
    done = mrnn("caption", tmp_path / "absent", "--model", captioner.model)
    assert done.returncode == 1
    assert done.stderr.startswith("There is no image at") and len(done.stderr.splitlines()) == 1


def configured(data_dir, **parameters):
    where = {"dataset": "toys", "data_dir": str(data_dir)}
    return tasks.GenerateCaptions(**where, **parameters), tasks.RerankCaptions(**where)


def complete(data_dir, stage, **given):
    make_artifact(data_dir, f"{stage.dataset}/{stage.stage}/{stage.key}", **given)
    return stage.directory


def test_captioner_follows_the_configuration(data_dir, configuration):
    generation, _ = configured(data_dir, self_critical=True, model_seeds=[0, 1, 2])
    models = [complete(data_dir, stage) for stage in generation.models().values()]
    assert {path.parent.name for path in models} == {"TrainSelfCritical"} and len(models) == 3
    extraction = {
        "backbone": "keras:MobileNet",
        "weights": "random:0",
        "input_size": 32,
        "precision": "float32",
        "pool": "average",
    }
    features = complete(data_dir, model_features_stage(generation), parameters=extraction)
    description = FeatureDescription("toy", "none", "00", "toys")
    write_features(features / "features.h5", ["a"], np.zeros((1, 2), np.float32), description)
    captions = complete(data_dir, generation.upstream(tasks.TokenizeCaptions))
    found = _find_captioner(tasks.load_stages(), generation, None)
    assert found.models == tuple(models)
    assert found.features == features / "features.h5" and found.tokens == captions / "tokens.jsonl"


def test_tuned_reranking_takes_the_best_setting(data_dir, configuration):
    reranking = tasks.RerankCaptions(dataset="toys", data_dir=str(data_dir), method="tuned")
    directory = complete(data_dir, reranking.upstream(tasks.TuneReranking))
    best = RerankingSetting("bleu", "original", "cosine", 7, 11)
    write_grid(directory / "grid.json", {}, [(best, {}), (RerankingSetting("cider"), {})])
    assert _reranking_setting(tasks.load_stages(), reranking) == best


def test_another_model_has_neither_an_ensemble_nor_tuned_reranking(data_dir, configuration, tmp_path):
    generation, reranking = configured(data_dir, model_seeds=[1])
    with pytest.raises(ConfigurationError, match="--model is one model"):
        _check(generation, reranking, tmp_path)
    single, _ = configured(data_dir)
    with pytest.raises(ConfigurationError, match="tuned for the configuration's model"):
        _check(single, reranking.clone(method="tuned"), tmp_path)
    _check(generation, reranking, None)
