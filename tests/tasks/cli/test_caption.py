"""Pictures captioned by the command that users give."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import luigi as luigi_module
import pytest

import tasks
from schemas.errors import ConfigurationError
from schemas.reranking import RerankingSetting, write_grid
from tests.support.toy_captioner import ToyCaptioner


@pytest.fixture(scope="module")
def captioner(tmp_path_factory) -> ToyCaptioner:
    return ToyCaptioner(tmp_path_factory.mktemp("captioner"), "hub")


@pytest.fixture(autouse=True)
def untouched_configuration():
    """What a test configures is gone after it."""
    yield
    for section in ("GenerateCaptions", "RerankCaptions"):
        luigi_module.configuration.get_config().remove_section(section)
    luigi_module.Task.clear_instance_cache()


def luigi(*arguments):
    command = [str(Path(sys.executable).with_name("luigi")), "--module", "tasks", "CaptionImages", "--local-scheduler"]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False
    )


def test_a_broken_picture_is_named_the_others_are_captioned_and_the_exit_code_tells(captioner, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(captioner.pictures / "p0.png", folder / "good.png")
    (folder / "bad\x1b[31m.png").write_bytes(b"no picture")
    of_others = ("--RerankCaptions-k", 2, "--FindNeighbors-metric", "cosine", "--GenerateCaptions-min-length", 3)
    done = luigi("--images", folder, "--model", captioner.model, "--out", tmp_path / "out", *of_others)
    assert done.returncode != 0
    assert done.stdout.splitlines()[0] == "good.png"
    assert "captioned pictures: 1, gallery: " in done.stdout
    assert (
        "1 of 2 pictures could not be read and were skipped (bad\\x1b[31m.png: the file is not an image" in done.stderr
    )
    assert "Traceback" not in done.stderr and "TensorFlow" not in done.stderr and "oneDNN" not in done.stderr
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written >= {"captions.jsonl", "captions.csv", "gallery.html", "rejects.jsonl", "log.txt"}
    setting = json.loads((tmp_path / "out" / "settings.json").read_text())["reranking"]
    assert setting["k"] == 2 and setting["metric"] == "cosine"
    (record,) = map(json.loads, (tmp_path / "out" / "captions.jsonl").read_text().splitlines())
    best = record["captions"][0]
    assert done.stdout.splitlines()[1].split() == [f"{best['probability']:.2g}", *best["caption"].split()]
    assert all(len(each["caption"].split()) >= 3 for each in record["captions"])
    assert best["consensus"] is not None and len(record["captions"]) == 10, "reranked, as training captions are there"


def test_without_reranking_the_likeliest_comes_first_and_the_default_folder_is_in_the_data_directory(
    captioner, data_dir, run, capsys
):
    task = tasks.CaptionImages(
        images=str(captioner.pictures), model=str(captioner.model), rerank=False, data_dir=str(data_dir)
    )
    assert run(task)
    assert task.directory.is_relative_to(data_dir)
    records = [json.loads(line) for line in (task.directory / "captions.jsonl").read_text().splitlines()]
    assert [record["picture"] for record in records] == captioner.ids
    for record in records:
        probabilities = [each["probability"] for each in record["captions"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(each["consensus"] is None for each in record["captions"])
    assert (
        f"captioned pictures: {len(captioner.ids)}, gallery: {task.directory / 'gallery.html'}"
        in capsys.readouterr().out
    )


def configured(data_dir, **parameters):
    return tasks.CaptionImages(images="a.png", dataset="toys", data_dir=str(data_dir), **parameters)


def test_the_models_are_those_that_the_configuration_captions_with(data_dir):
    config = luigi_module.configuration.get_config()
    config.set("GenerateCaptions", "ensemble", "[1, 2]")
    required = configured(data_dir, self_critical=True).requires()
    generation = tasks.GenerateCaptions(dataset="toys", data_dir=str(data_dir), self_critical=True)
    assert {name: required[name] for name in generation.models()} == generation.models()
    assert [stage.stage for stage in generation.models().values()] == 3 * ["TrainSelfCritical"]
    assert required["features"] == generation.requires()["features"]
    tuned = configured(data_dir, finetune_backbone=True)
    with pytest.raises(ConfigurationError, match="make no ensemble"):
        tuned.requires()
    config.set("GenerateCaptions", "ensemble", "[]")
    tasks.GenerateCaptions.clear_instance_cache()
    assert tuned.requires()["model"].stage == "FineTuneBackbone"
    assert tuned.requires()["features"].weights == "fine-tuned"


def test_tuned_reranking_takes_the_setting_that_was_best(data_dir):
    luigi_module.configuration.get_config().set("RerankCaptions", "against", "tuned")
    task = configured(data_dir)
    tuning = task.requires()["tuning"]
    assert tuning.stage == "TuneReranking" and "tuning" not in configured(data_dir, rerank=False).requires()
    best = RerankingSetting("bleu", "original", "cosine", 7, 11)
    write_grid(tuning.directory / "grid.json", {}, [(best, {}), (RerankingSetting("cider"), {})])
    assert task.settings()["reranking"] == asdict(best)


def test_another_model_has_neither_an_ensemble_nor_tuned_reranking(captioner, data_dir):
    config = luigi_module.configuration.get_config()
    config.set("RerankCaptions", "against", "tuned")
    given = {"model": str(captioner.model)}
    with pytest.raises(ConfigurationError, match="tuned for the configuration's model"):
        configured(data_dir, **given).requires()
    assert configured(data_dir, rerank=False, **given).requires() == {}
    config.set("GenerateCaptions", "ensemble", "[1]")
    tasks.GenerateCaptions.clear_instance_cache()
    with pytest.raises(ConfigurationError, match="--model is one model"):
        configured(data_dir, rerank=False, **given).requires()


def test_what_cannot_be_found_is_said_before_anything_is_loaded(captioner, tmp_path):
    done = luigi("--images", tmp_path / "absent", "--model", captioner.model, "--data-dir", tmp_path / "var")
    assert done.returncode != 0
    assert "There is no picture at" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "var").exists()


def test_folders_are_told_apart_and_any_name_makes_a_key(tmp_path):
    keys = {
        tasks.CaptionImages(images=images, model=str(tmp_path)).directory
        for images in ("/a", "/b", "/\udcff", "/ü", "relative")
    }
    assert len(keys) == 5
