"""The hand-computed numbers of docs/explanation/reranking.md match the code."""

import re
import subprocess
import sys

import numpy as np
import pytest

from pipelines.captions.reranker import Reranker
from schemas.hypotheses import Hypothesis, ImageHypotheses
from schemas.neighbors import Neighbors
from schemas.reranking import RerankingSetting
from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs/explanation/reranking.md").read_text(encoding="utf-8")
SENTENCES = dict(re.findall(r"^\| ([hr]\d) \| ([a-z ]+) \|$", PAGE, re.MULTILINE))


def consensus(similarity: str, references: list[str]) -> dict[str, float]:
    """Consensus scores of h1 and h2 with these references, each the caption of a training image, m being 2."""
    hypotheses = tuple(Hypothesis(tuple(SENTENCES[name].split()), -1.0) for name in ("h1", "h2"))
    image = ImageHypotheses("image", hypotheses)
    captions = {name: [SENTENCES[name].split()] for name in ("r1", "r2", "r3")}
    order = np.array([[list(captions).index(name) for name in references]])
    neighbors = Neighbors(["image"], list(captions), order, np.zeros(order.shape), "original", "euclidean")
    setting = RerankingSetting(similarity, "original", "euclidean", k=len(references), m=2)
    found = Reranker([image], neighbors, captions, setting)(image)
    names = {tuple(sentence.split()): name for name, sentence in SENTENCES.items() if name.startswith("h")}
    return {names[each.tokens]: score for each, score in zip(found.image.captions, found.scores, strict=True)}


@pytest.mark.parametrize("similarity", ["bleu", "cider"])
def test_tables_match_the_code(similarity: str) -> None:
    table = PAGE[PAGE.index(f"| {similarity} | r1 | r2 | r3 | consensus, m = 2 |") :]
    rows = re.findall(r"^\| (h\d) \| ([\d. |]+) \|$", table, re.MULTILINE)[:2]
    scores = consensus(similarity, ["r1", "r2", "r3"])
    assert list(scores) == ["h2", "h1"], "h2 comes first"
    for name, values in rows:
        *similarities, total = map(float, values.split("|"))
        assert scores[name] == pytest.approx(total, abs=6e-5)
        for reference, value in zip(("r1", "r2", "r3"), similarities, strict=True):
            assert consensus(similarity, [reference])[name] == pytest.approx(value, abs=6e-5)


def test_python_example_prints_the_documented_output() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == code.strip().rpartition("# ")[2]
