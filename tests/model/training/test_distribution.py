"""Training on several devices equals that on one: on two logical devices of a process, and on two workers."""

import json
import socket

import pytest

from model.training.distribution import make_strategy
from schemas.errors import ConfigurationError
from tests.support import training_on_replicas, warm_process

pytestmark = [pytest.mark.slow("trains in several TensorFlow processes"), pytest.mark.usefixtures("eagerly")]

TOLERANCE = 1e-4  # relative: float32 sums in another order, over six steps


def result_of(process, results):
    process.join()
    assert process.exitcode == 0
    return json.loads(results.read_text())


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    return training_on_replicas.train_undisturbed(tmp_path_factory.mktemp("one"))


def assert_equal_up_to_rounding(several, one):
    for name in ("plain", "sgd"):
        for epoch, expected in zip(several[name]["curve"], one[name]["curve"], strict=True):
            assert epoch == pytest.approx(expected, rel=TOLERANCE)
    assert several["resumed"] == several["undisturbed"]


def test_replicas_on_one_host_equal_one_device(on_one_device, tmp_path):
    results = tmp_path / "results.json"
    process = warm_process.start(training_on_replicas.train_all, "mirrored", 2, tmp_path, results)
    assert_equal_up_to_rounding(result_of(process, results), on_one_device)


def test_workers_equal_one_device_and_each_other(on_one_device, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        hosts = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
    results = [tmp_path / f"{index}.json" for index in range(2)]
    processes = []
    for index, path in enumerate(results):
        cluster = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        arguments = (training_on_replicas.train_all, "multi-worker", 1, tmp_path, path)
        processes.append(warm_process.start(*arguments, TF_CONFIG=json.dumps(cluster)))
    chief, worker = map(result_of, processes, results)
    assert_equal_up_to_rounding(chief, on_one_device)
    assert worker == chief


def test_unknown_strategy_is_rejected():
    with pytest.raises(ConfigurationError, match="'cloud'; choose one of one-device, mirrored, multi-worker"):
        make_strategy("cloud")


def test_multi_worker_strategy_needs_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match="needs TF_CONFIG"):
        make_strategy("multi-worker")
