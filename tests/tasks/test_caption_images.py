"""Pictures captioned by the command that users give."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tasks
from tests.pipelines.toy_captioner import ToyCaptioner


@pytest.fixture(scope="module")
def captioner(tmp_path_factory) -> ToyCaptioner:
    return ToyCaptioner(tmp_path_factory.mktemp("captioner"), "hub")


def luigi(*arguments):
    command = [str(Path(sys.executable).with_name("luigi")), "--module", "tasks", "CaptionImages", "--local-scheduler"]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )


def test_a_broken_picture_is_named_the_others_are_captioned_and_the_exit_code_tells(captioner, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(captioner.pictures / "p0.png", folder / "good.png")
    (folder / "bad\x1b[31m.png").write_bytes(b"no picture")
    done = luigi("--images", folder, "--model", captioner.model, "--out", tmp_path / "out", "--RerankCaptions-k", 2)
    assert done.returncode != 0
    assert done.stdout.splitlines()[0] == "good.png"
    assert "captioned pictures: 1, gallery: " in done.stdout
    assert (
        "1 of 2 pictures could not be read and were skipped (bad\\x1b[31m.png: the file is not an image" in done.stderr
    )
    assert "Traceback" not in done.stderr and "TensorFlow" not in done.stderr and "oneDNN" not in done.stderr
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written >= {"captions.jsonl", "captions.csv", "gallery.html", "rejects.jsonl", "log.txt"}
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["k"] == 2
    (record,) = map(json.loads, (tmp_path / "out" / "captions.jsonl").read_text().splitlines())
    best = record["captions"][0]
    assert done.stdout.splitlines()[1].split() == [f"{best['probability']:.2g}", *best["caption"].split()]
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
