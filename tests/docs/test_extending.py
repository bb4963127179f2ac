"""The extensions of docs/how-to/extend.md work in a copy of the project to which only the page's files are added."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs/how-to/extend.md").read_text(encoding="utf-8")
USE = """
from pathlib import Path

import model.lean_keras  # half of the time of TensorFlow's import

import numpy as np

import model.backbones
from model.backbones import load_backbone
from model.backbones.spec import BackboneSpec
from model.metrics.captions import score_captions
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from pipelines.data.prepare_annotations import annotate
from pipelines.data.datasets import DATASETS, find_dataset
from pipelines.data.datasets.notes import Notes
from schemas.scores import in_order

images_dir = Path("images")
images_dir.mkdir()
for name in ("a_dog_runs", "two_cats", "a_tree"):
    (images_dir / f"{name}.jpg").touch()
DATASETS["notes"] = Notes()
images, problems = annotate(find_dataset("notes"), images_dir, lambda fraction, message: None, "random:1:1:0")
print("captions", sorted(image.captions for image in images), problems)

white = np.full((1, 64, 64, 3), 255, np.uint8)
model.backbones.FAMILIES = (*model.backbones.FAMILIES, "colors")
print("backbone", load_backbone(BackboneSpec("colors", "")).features(white))

network = MRNN(10, 3, ModelConfig("small-gru"))
print("variant", network(np.array([[2, 3]]), np.zeros((1, 3), np.float32)).shape, network.sizes["recurrent_size"])

captions, references = {"1": "a dog", "2": "two cats sit"}, {"1": ["a dog runs fast"], "2": ["two cats sit"]}
scores = score_captions(captions, references)
print("metric", scores.per_image["length"], scores.corpus["length"], "length" in scores.intervals())
print("order", in_order(scores.corpus)[-1])
assert Path(model.__file__).is_relative_to(Path.cwd()), "the project itself was used"
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run a program that uses the page's four files in a copy of the project; return its output by first word."""
    copy: Path = tmp_path_factory.mktemp("copy")
    for package in ("schemas", "model", "pipelines"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    files = re.findall(r"^```python\n# (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(files) == 4
    for name, text in files:
        assert not (copy / name).exists(), "it is a new file"
        (copy / name).write_text(text, encoding="utf-8")
    (copy / "use.py").write_text(USE, encoding="utf-8")
    command = [sys.executable, "use.py"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return dict(line.split(" ", 1) for line in run.stdout.splitlines())


def test_extending_adds_a_dataset(printed: dict[str, str]) -> None:
    assert printed["captions"] == "[('a dog runs',), ('a tree',), ('two cats',)] []"


def test_extending_adds_a_backbone(printed: dict[str, str]) -> None:
    assert printed["backbone"] == "[[1. 1. 1.]]"


def test_extending_adds_a_variant(printed: dict[str, str]) -> None:
    assert printed["variant"] == "(1, 2, 10) 64"


def test_extending_adds_a_metric_with_interval(printed: dict[str, str]) -> None:
    assert printed["metric"] == "[0.5, 1.0] 0.75 True"
    assert printed["order"] == "length"
