"""TF_CONFIG: who leads, and what is wrong with it."""

import json

import pytest

from model.training.distribution import Worker, this_worker
from schemas.errors import ConfigurationError


def set_config(monkeypatch, cluster, job, index):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": job, "index": index}}))


@pytest.mark.parametrize(
    ("cluster", "job", "index", "leads"),
    [
        ({"worker": ["a:1", "b:1"]}, "worker", 0, True),
        ({"worker": ["a:1", "b:1"]}, "worker", 1, False),
        ({"chief": ["c:1"], "worker": ["a:1", "b:1"]}, "worker", 0, False),
        ({"chief": ["c:1"], "worker": ["a:1", "b:1"]}, "chief", 0, True),
    ],
)
def test_the_chief_leads_or_the_first_worker(monkeypatch, cluster, job, index, leads):
    set_config(monkeypatch, cluster, job, index)
    assert this_worker() == Worker(f"{job}-{index}", leads)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cluster": {"worker": ["a:1"]}}', "null"])
def test_a_configuration_that_says_nothing_is_one_sentence(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigurationError, match="needs TF_CONFIG"):
        this_worker()


@pytest.mark.parametrize(("job", "index"), [("worker", 2), ("evaluator", 0), ("worker", "0")])
def test_a_task_that_is_not_in_the_cluster_is_refused(monkeypatch, job, index):
    set_config(monkeypatch, {"worker": ["a:1", "b:1"]}, job, index)
    with pytest.raises(ConfigurationError, match="needs TF_CONFIG"):
        this_worker()
