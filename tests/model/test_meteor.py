"""A scorer that dies is given up, and nothing waits for it."""

import subprocess
import threading

import pytest
from pycocoevalcap.meteor.meteor import Meteor

from model import meteor as module
from model.meteor import MeteorMissing, meteor


class Dying(Meteor):
    """pycocoevalcap's scorer around a program that ends at once."""

    made: list["Dying"] = []  # noqa: RUF012

    def __init__(self):
        pipe = subprocess.PIPE
        self.meteor_p = subprocess.Popen(["false"], stdin=pipe, stdout=pipe, stderr=pipe)
        self.lock = threading.Lock()
        self.made.append(self)


def test_a_scorer_that_died_can_be_deleted(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: name)
    with pytest.raises(MeteorMissing, match="died"):
        meteor({"a": ["a cat"]}, {"a": ["a cat"]}, start=Dying)
    assert len(Dying.made) == 2
    for scorer in Dying.made:
        assert scorer.lock.acquire(blocking=False), "its deletion would wait for ever"
        scorer.lock.release()
    Dying.made.clear()
