"""ValidateDataset, by the command that users give."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.data.datasets.shapes import Shapes


def luigi(*arguments):
    return subprocess.run(
        [str(Path(sys.executable).with_name("luigi")), "--module", "tasks", "ValidateDataset", *arguments],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def source(tmp_path):
    Shapes().generate(tmp_path, seed=0, images=12, progress=lambda fraction, message: None)
    return tmp_path


def test_all_well_is_exit_status_0_and_says_how_to_go_on(source):
    run = luigi("--source", str(source))
    assert run.returncode == 0, run.stdout
    assert "0 errors, 0 remarks" in run.stdout
    assert f"mrnn run custom --set DownloadDataset.source={source} --set PrepareAnnotations.partition=published" in (
        run.stdout
    )


def test_an_error_is_named_and_makes_the_exit_status(source):
    with open(source / "captions.jsonl", "a", encoding="utf-8") as stream:
        stream.write('{"image": "gone.png", "caption": "x"}\n')
    run = luigi("--source", str(source))
    assert run.returncode == 30  # task_failed of luigi.cfg
    assert "error: too many invalid captions: 1" in run.stdout
    assert f"  {source}/captions.jsonl, line 13: there is no image gone.png" in run.stdout
    assert "Traceback" not in run.stdout


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    run = luigi("--source", str(tmp_path / "nowhere"))
    assert run.returncode != 0
    assert f"There is no folder {tmp_path / 'nowhere'}" in run.stdout
    assert "Traceback" not in run.stdout
