"""METEOR's process may be missing, die or fall silent; the rest of a score sheet does not wait for it."""

import shutil
import subprocess
import sys
import threading
import time

import pytest
from pycocoevalcap.meteor.meteor import Meteor

from model.metrics import java as module
from model.metrics.java import ScorerMissing
from model.metrics.scorers.meteor import score as meteor

REFERENCES = {"1": ["a dog runs", "the dog runs"], "2": ["two cats sleep"]}
HYPOTHESES = {"1": ["a dog runs"], "2": ["two cats"]}


class Scripted:
    """A scorer whose process is Python: it answers each line by what `script` prints."""

    def __init__(self, script):
        command = [sys.executable, "-u", "-c", script]
        self.meteor_p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def compute_score(self, references, hypotheses):
        self.meteor_p.stdin.write(b"EVAL\n")
        self.meteor_p.stdin.flush()
        answers = [float(self.meteor_p.stdout.readline()) for _ in range(len(references) + 1)]
        return answers[-1], answers[:-1]


@pytest.fixture(autouse=True)
def java(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda program: f"/usr/bin/{program}")


def test_scores_come_back():
    answer = "input(); print(0.5); print(0.25); print(0.375)"
    assert meteor(REFERENCES, HYPOTHESES, lambda: Scripted(answer)) == (0.375, [0.5, 0.25])


def test_a_scorer_that_died_is_started_again():
    scripts = iter(["input(); raise SystemExit(1)", "input(); print(1); print(2); print(3)"])
    assert meteor(REFERENCES, HYPOTHESES, lambda: Scripted(next(scripts))) == (3.0, [1.0, 2.0])


def test_one_that_dies_again_is_missing_with_the_reason():
    with pytest.raises(ScorerMissing, match=r"died .*2 times"):
        meteor(REFERENCES, HYPOTHESES, lambda: Scripted("raise SystemExit(1)"))


def test_one_that_falls_silent_is_not_waited_for():
    started = time.monotonic()
    scorers = []

    def start():
        scorers.append(Scripted("import time; time.sleep(600)"))
        return scorers[-1]

    with pytest.raises(ScorerMissing, match="did not answer within 1 s, 2 times"):
        meteor(REFERENCES, HYPOTHESES, start, patience=1.0)
    assert time.monotonic() - started < 20
    assert [scorer.meteor_p.poll() is None for scorer in scorers] == [False, False]


def test_the_official_scorer_s_lock_is_not_waited_for_when_its_program_died():
    class Dying(Meteor):
        def __init__(self):
            self.meteor_p = Scripted("raise SystemExit(1)").meteor_p
            self.lock = threading.Lock()

    reasons = []

    def score():
        with pytest.raises(ScorerMissing) as raised:
            meteor(REFERENCES, HYPOTHESES, Dying)
        reasons.append(str(raised.value))

    thread = threading.Thread(target=score, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert "2 times" in reasons[0]


def test_without_java_it_is_missing(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda program: None)
    with pytest.raises(ScorerMissing, match="no Java"):
        meteor(REFERENCES, HYPOTHESES)


@pytest.mark.skipif(shutil.which("java") is None, reason="the real scorer needs Java")
def test_the_real_scorer():
    value, (same, part) = meteor(REFERENCES, HYPOTHESES)
    assert same == pytest.approx(1.0, abs=0.1)
    assert 0.2 < part < same
    assert part < value < same
