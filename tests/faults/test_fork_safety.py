"""Forked processes with TensorFlow imported compute the same as a fresh process."""

import shutil
import time

import pytest

from schemas.provenance import read_provenance
from tasks.runtime import forkserver
from tasks.training.train_model import TrainModel
from tests.support.hosts import PARAMETERS, make_upstream

STAGES = 100


@pytest.mark.faults
def test_hundred_forked_trainings_match_an_unforked_one(tmp_path, monkeypatch):
    parameters = {**PARAMETERS, "strategy": "one-device", "epochs": 1, "data_dir": str(tmp_path)}
    task = TrainModel(**parameters)
    make_upstream(task.requires())
    with monkeypatch.context() as patched:
        patched.setattr(forkserver, "can_preload", lambda: False)
        expected, _ = _train(task)
    seconds = []
    for _ in range(STAGES):
        digest, took = _train(task)
        assert digest == expected
        seconds.append(took)
    print(f"{STAGES} stages: first {seconds[0]:.1f} s, median {sorted(seconds)[STAGES // 2]:.1f} s")


def _train(task):
    """Train again; return the digest of the artifact and the seconds."""
    shutil.rmtree(task.directory, ignore_errors=True)
    started = time.monotonic()
    task.run()
    return read_provenance(task.directory).digest, time.monotonic() - started
