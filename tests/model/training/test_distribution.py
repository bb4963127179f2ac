"""Training on several devices equals that on one: on two logical devices of a process, and on two workers."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from model.training.distribution import make_strategy
from schemas.errors import ConfigurationError
from tests.support import training_on_replicas

pytestmark = pytest.mark.slow("trains in several TensorFlow processes")

PROGRAM = Path(training_on_replicas.__file__)
TOLERANCE = 1e-4  # relative: float32 sums in another order, over nine steps


def start(strategy, devices, directory, **environment):
    root = str(PROGRAM.parents[2])
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), strategy, str(devices), str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root, **environment},
    )


def result_of(process):
    output, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    return training_on_replicas.train_all(tf.distribute.get_strategy(), tmp_path_factory.mktemp("one"))


def assert_equal_up_to_rounding(several, one):
    for name in ("plain", "sgd"):
        for epoch, expected in zip(several[name]["curve"], one[name]["curve"], strict=True):
            assert epoch == pytest.approx(expected, rel=TOLERANCE)
    assert several["resumed"] == several["undisturbed"]


def test_replicas_on_one_host_equal_one_device(on_one_device, tmp_path):
    assert_equal_up_to_rounding(result_of(start("mirrored", 2, tmp_path)), on_one_device)


def test_workers_equal_one_device_and_each_other(on_one_device, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        hosts = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
    processes = [
        start(
            "multi-worker",
            1,
            tmp_path,
            TF_CONFIG=json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    chief, worker = [result_of(process) for process in processes]
    assert_equal_up_to_rounding(chief, on_one_device)
    assert worker == chief


def test_unknown_strategy_is_rejected():
    with pytest.raises(ConfigurationError, match="'cloud'; choose one of one-device, mirrored, multi-worker"):
        make_strategy("cloud")


def test_multi_worker_strategy_needs_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match="needs TF_CONFIG"):
        make_strategy("multi-worker")
