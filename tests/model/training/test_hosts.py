"""TF_CONFIG: which worker is the chief, and which values are rejected."""

import json

import pytest

from model.training.distribution import Worker, this_worker
from schemas.errors import ConfigurationError


def set_config(monkeypatch, cluster, job, index):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": job, "index": index}}))


@pytest.mark.parametrize(
    ("cluster", "job", "index", "is_chief"),
    [
        ({"worker": ["a:1", "b:1"]}, "worker", 0, True),
        ({"worker": ["a:1", "b:1"]}, "worker", 1, False),
        ({"chief": ["c:1"], "worker": ["a:1", "b:1"]}, "worker", 0, False),
        ({"chief": ["c:1"], "worker": ["a:1", "b:1"]}, "chief", 0, True),
    ],
)
def test_chief_or_first_worker_is_chief(monkeypatch, cluster, job, index, is_chief):
    set_config(monkeypatch, cluster, job, index)
    assert this_worker() == Worker(f"{job}-{index}", is_chief)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cluster": {"worker": ["a:1"]}}', "null"])
def test_invalid_configuration_is_rejected(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigurationError, match="needs TF_CONFIG"):
        this_worker()


@pytest.mark.parametrize(("job", "index"), [("worker", 2), ("evaluator", 0), ("worker", "0")])
def test_task_outside_the_cluster_is_rejected(monkeypatch, job, index):
    set_config(monkeypatch, {"worker": ["a:1", "b:1"]}, job, index)
    with pytest.raises(ConfigurationError, match="needs TF_CONFIG"):
        this_worker()
