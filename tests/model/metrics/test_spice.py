"""SPICE: its program may lack its parser or write no scores; the real one is run where it is installed."""

import json
import os
import shutil
import sys

import pytest

from model.metrics.captions import score_captions
from model.metrics.scorers.spice import JARS, jar_directory

CAPTIONS = {"1": "a black dog", "2": "a dog"}
REFERENCES = {"1": ["a white dog", "a white dog"], "2": ["a dog and a cat"]}
SCORE = """
import json, sys
given, written = sys.argv[-4], sys.argv[-2]
images = json.load(open(given))
records = [{"image_id": e["image_id"], "scores": {"All": {"f": len(e["refs"]) / 4}}} for e in images]
json.dump(records[::-1], open(written, "w"))
json.dump([sys.argv[1:], images], open(%r, "w"))
"""
INSTALLED = all((jar_directory() / jar.name).is_file() for jar in JARS)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Installs empty jars, and a script as the Java runtime."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    jar_directory().mkdir(parents=True)
    for jar in JARS:
        (jar_directory() / jar.name).touch()

    def write(script):
        path = tmp_path / "bin" / "java"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable}\n{script}")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")

    return write


def _score():
    return score_captions(CAPTIONS, REFERENCES, ["SPICE"])


def test_spice_is_read_by_image(program, tmp_path):
    program(SCORE % str(tmp_path / "seen.json"))
    assert _score().per_image["SPICE"] == [0.5, 0.25]
    assert _score().corpus["SPICE"] == 0.375
    arguments, images = json.loads((tmp_path / "seen.json").read_text())
    assert "edu.anu.spice.SpiceScorer" in arguments
    assert images[0] == {"image_id": 0, "test": CAPTIONS["1"], "refs": REFERENCES["1"]}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.exit('java.lang.OutOfMemoryError: heap')", "failed (java.lang.OutOfMemoryError: heap)"),
        ("pass", "wrote no scores"),
        (SCORE.replace('"f"', '"g"') % os.devnull, "wrote no scores (KeyError"),
    ],
)
def test_spice_is_omitted_when_the_program_prints_no_scores(program, script, reason):
    program(script)
    scores = _score()
    assert "SPICE" not in scores.corpus
    assert reason in scores.left_out["SPICE"]


def test_missing_spice_parser_is_reported_with_the_command(program):
    program(SCORE % os.devnull)
    (jar_directory() / JARS[1].name).unlink()
    assert f"has no {JARS[1].name}; run `mrnn metrics install spice`" in _score().left_out["SPICE"]


@pytest.mark.skipif(not INSTALLED or shutil.which("java") is None, reason="needs Java and `mrnn metrics install spice`")
def test_spice_matches_the_recorded_scores():
    scores = _score()
    assert scores.left_out == {}
    # By hand: (dog) matches and (dog, black) does not match (dog, white); of (dog), (cat) half is found.
    assert scores.per_image["SPICE"] == pytest.approx([1 / 2, 2 * 1 * (1 / 2) / (1 + 1 / 2)])
