"""The tutorial works as described, and the example notebook runs on its results."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.conftest import ROOT, Followed

pytestmark = pytest.mark.slow("runs the pipeline and a notebook")

NOTEBOOK = ROOT / "docs/tutorials/features_and_model.ipynb"

STARTED = re.compile(r"(\w+) \w{10}: started")


def test_tutorial_commands_succeed(tutorial: Followed) -> None:
    assert len(tutorial.outputs) >= 10
    for command, (status, output) in tutorial.outputs.items():
        assert status == 0, f"{command}\n{output}"


def test_tutorial_reruns_two_of_eight_stages(tutorial: Followed) -> None:
    first = tutorial.output_of("EvaluateCaptions.split=test")
    second = tutorial.output_of("GenerateCaptions.length_penalty=1.0")
    assert len(STARTED.findall(first)) == 8
    assert STARTED.findall(second) == ["GenerateCaptions", "EvaluateCaptions"]


def test_tutorial_files_have_the_described_content(tutorial: Followed) -> None:
    annotations = tutorial.output_of("annotations.jsonl")
    assert json.loads(annotations)["split"] in ("train", "val", "test")
    assert tutorial.output_of("vocabulary.txt").split()[:3] == ["<pad>", "<unk>", "<bos>"]
    assert "log_prob" in json.loads(tutorial.output_of("hypotheses.jsonl").splitlines()[0])["captions"][0]
    assert json.loads(tutorial.output_of("scores.json"))["metrics"]["CIDEr-D"] >= 0


def test_runs_are_told_apart_by_the_parameter_that_was_changed(tutorial: Followed) -> None:
    assert "length_penalty" in tutorial.output_of("mrnn compare")


@pytest.mark.parametrize("stage", ["TrainModel", "GenerateCaptions", "EvaluateCaptions"])
def test_tutorial_dry_run_keeps_the_files_it_names(tutorial: Followed, stage: str) -> None:
    assert stage in tutorial.output_of("--dry-run")
    assert list(tutorial.directory.glob(f"var/shapes/{stage}/*/provenance.json"))


def test_images_have_captions_in_a_gallery(tutorial: Followed) -> None:
    shown = re.findall(r"^\S+\.png$", tutorial.output_of("--out captioned"), re.MULTILINE)
    assert len(shown) == 3
    assert "<img" in (tutorial.directory / "captioned" / "gallery.html").read_text(encoding="utf-8")


def printed(notebook: nbformat.NotebookNode, word: str) -> str:
    """Return the output of the first cell that contains a word."""
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code" and word in cell.source)
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


def test_notebook_runs_to_its_end(tutorial: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(tutorial.directory)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    assert "keras/MobileNet 1024" in printed(notebook, "FeatureFile")
    assert len(printed(notebook, "BeamSearch").splitlines()) == 3
    assert ", 512) float32" in printed(notebook, "refine_features")
    scores = [line.split()[0] for line in printed(notebook, "score_captions").splitlines()]
    assert {"BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D"} <= set(scores)


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.ipynb")), ids=lambda path: path.name)
def test_notebook_has_no_outputs(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
