"""The `mrnn validate` command."""

import json
import shlex

import pytest

from pipelines.data.datasets.shapes import Shapes


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "my images"
    Shapes().generate(folder, seed=0, images=12, progress=lambda fraction, message: None)
    return folder


def test_validate_prints_the_next_command_for_a_valid_dataset(source, mrnn):
    run = mrnn("validate", source)
    assert run.returncode == 0, run.stderr
    assert "0 errors, 0 remarks" in run.stdout
    command = shlex.split(run.stdout.splitlines()[-1])
    assert command[:3] == ["mrnn", "run", "custom"]
    assert f"DownloadDataset.source={source}" in command
    assert "PrepareAnnotations.partition=published" in command


def test_validate_names_an_error_with_its_line(source, mrnn):
    with open(source / "captions.jsonl", "a", encoding="utf-8") as stream:
        stream.write('{"image": "gone.png", "caption": "x"}\n')
    run = mrnn("validate", source)
    assert run.returncode == 1
    assert "error: too many invalid captions: 1" in run.stdout
    assert f"  {source}/captions.jsonl, line 13: there is no image gone.png" in run.stdout
    found = json.loads(mrnn("validate", source, "--json").stdout)["findings"]
    assert {"level": "error", "kind": "too many invalid captions"}.items() <= found[0].items()
    assert "Traceback" not in run.stderr


def test_validate_refuses_a_missing_directory_in_one_sentence(tmp_path, mrnn):
    run = mrnn("validate", tmp_path / "nowhere")
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        f"There is no directory {tmp_path / 'nowhere'}; give the directory with the images and captions."
    ]
