"""The tutorial does what it says."""

import json
import re

import pytest

from tests.docs.conftest import Followed

STARTED = re.compile(r"(\w+) \w{10}: started")


def test_every_command_succeeds(tutorial: Followed) -> None:
    assert len(tutorial.outputs) >= 10
    for command, (status, output) in tutorial.outputs.items():
        assert status == 0, f"{command}\n{output}"


def test_of_seven_stages_two_run_again(tutorial: Followed) -> None:
    first = tutorial.output_of("--captions beam --split test --local-scheduler")
    second = tutorial.output_of("--GenerateCaptions-length-penalty 1.0")
    assert len(STARTED.findall(first)) == 7
    assert STARTED.findall(second) == ["GenerateCaptions", "EvaluateCaptions"]


def test_the_files_shown_are_what_they_are_said_to_be(tutorial: Followed) -> None:
    annotations = tutorial.output_of("annotations.jsonl")
    assert json.loads(annotations)["split"] in ("train", "val", "test")
    assert tutorial.output_of("vocabulary.txt").split()[:3] == ["<pad>", "<unk>", "<bos>"]
    assert "log_prob" in json.loads(tutorial.output_of("hypotheses.jsonl").splitlines()[0])["captions"][0]
    assert json.loads(tutorial.output_of("scores.json"))["metrics"]["CIDEr-D"] >= 0


def test_runs_are_told_apart_by_the_parameter_that_was_changed(tutorial: Followed) -> None:
    assert "length_penalty" in tutorial.output_of("CompareRuns")


@pytest.mark.parametrize("stage", ["TrainModel", "GenerateCaptions", "EvaluateCaptions"])
def test_what_would_go_is_named_and_stays(tutorial: Followed, stage: str) -> None:
    assert stage in tutorial.output_of("--dry-run")
    assert list(tutorial.directory.glob(f"var/shapes/{stage}/*/provenance.json"))


def test_pictures_have_captions_in_a_gallery(tutorial: Followed) -> None:
    shown = re.findall(r"^\S+\.png$", tutorial.output_of("--out captioned"), re.MULTILINE)
    assert len(shown) == 3
    assert "<img" in (tutorial.directory / "captioned" / "gallery.html").read_text(encoding="utf-8")
