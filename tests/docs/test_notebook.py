"""The example notebook runs on what the tutorial made, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.conftest import ROOT, Followed

NOTEBOOK = ROOT / "docs" / "examples" / "features_and_model.ipynb"


def printed(notebook: nbformat.NotebookNode, word: str) -> str:
    """What the first cell with this word in it printed."""
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code" and word in cell.source)
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


def test_it_runs_to_its_end(tutorial: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_it_is_kept_without_outputs(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
