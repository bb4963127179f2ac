"""SPICE's program may be missing, die or fall silent; here it is a script by the name of `java` in the path."""

import json
import os
import sys
import time

import pytest

from model.metrics.captions import score_captions
from model.metrics.java import ScorerMissing
from model.metrics.scorers.spice import MODELS
from model.metrics.scorers.spice import score as spice

REFERENCES = {"1": ["a dog runs", "the dog runs"], "2": ["two cats sleep"]}
HYPOTHESES = {"1": ["a dog runs"], "2": ["two cats"]}
SCORE = """
import json, sys
jar, given, made = sys.argv[3], sys.argv[4], sys.argv[sys.argv.index("-out") + 1]
images = json.load(open(given))
open("seen.json", "w").write(json.dumps([jar, images]))
records = [{"image_id": e["image_id"], "scores": {"All": {"f": len(e["refs"]) / 4}}} for e in images]
json.dump(records[::-1], open(made, "w"))
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "lib").mkdir()
    for name in MODELS:
        (tmp_path / "lib" / name).touch()
    return tmp_path


@pytest.fixture
def java(tmp_path, monkeypatch):
    def install(script):
        path = tmp_path / "bin" / "java"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable}\n{script}")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")

    return install


def test_scores_come_back_by_image_and_as_their_mean(home, java):
    java(SCORE)
    assert spice(REFERENCES, HYPOTHESES, home) == (0.375, [0.5, 0.25])
    jar, images = json.loads((home / "seen.json").read_text())
    assert jar == "spice-1.0.jar"
    assert images[0] == {"image_id": "1", "test": "a dog runs", "refs": ["a dog runs", "the dog runs"]}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.exit('java.lang.OutOfMemoryError: heap')", r"died \(java.lang.OutOfMemoryError: heap\)"),
        ("raise SystemExit(3)", r"died \(exit status 3\)"),
        ("pass", "gave no scores"),
        (SCORE.replace('"f"', '"g"'), r"gave no scores \(KeyError"),
    ],
)
def test_a_program_that_fails_is_missing_with_the_reason(home, java, script, reason):
    java(script)
    with pytest.raises(ScorerMissing, match=reason):
        spice(REFERENCES, HYPOTHESES, home)


def test_one_that_falls_silent_is_not_waited_for_nor_left_behind(home, java):
    java("import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)")
    started = time.monotonic()
    with pytest.raises(ScorerMissing, match="did not answer within 5 s"):
        spice(REFERENCES, HYPOTHESES, home, patience=5.0)
    assert time.monotonic() - started < 60
    with pytest.raises(ProcessLookupError):
        os.kill(int((home / "pid").read_text()), 0)


def test_without_models_or_java_it_is_missing_and_says_what_is(home, java, monkeypatch):
    java(SCORE)
    (home / "lib" / MODELS[1]).unlink()
    with pytest.raises(ScorerMissing, match=r"lib/stanford-corenlp-3\.6\.0-models\.jar.*CoreNLP 3\.6\.0"):
        spice(REFERENCES, HYPOTHESES, home)
    monkeypatch.setenv("PATH", str(home / "nowhere"))
    with pytest.raises(ScorerMissing, match=r"no Java runtime.*SPICE"):
        spice(REFERENCES, HYPOTHESES, home)


def test_a_score_sheet_says_why_it_has_no_spice(monkeypatch, home):
    monkeypatch.setenv("PATH", str(home / "nowhere"))
    scores = score_captions({"1": "a dog", "2": "cats"}, REFERENCES)
    assert "SPICE" not in scores.corpus
    assert "no Java" in scores.left_out["SPICE"]
