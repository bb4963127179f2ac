"""Several devices compute what one computes: on two logical ones of a process, and in two processes with one each."""

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

PROGRAM = Path(training_on_replicas.__file__)
TOLERANCE = 1e-4  # relative: float32 sums in another order, over nine steps


def start(strategy, devices, folder, **environment):
    root = str(PROGRAM.parents[2])
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), strategy, str(devices), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root, **environment},
    )


def told_by(process):
    output, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    return training_on_replicas.train_all(tf.distribute.get_strategy(), tmp_path_factory.mktemp("one"))


def assert_alike(several, one):
    for epoch, expected in zip(several["0.0"]["whole"]["curve"], one["0.0"]["whole"]["curve"], strict=True):
        assert epoch == pytest.approx(expected, rel=TOLERANCE)
    for dropout in several.values():
        assert dropout["resumed"] == dropout["whole"]


def test_replicas_on_one_host_make_the_steps_of_one_device(on_one_device, tmp_path):
    assert_alike(told_by(start("mirrored", 2, tmp_path)), on_one_device)


def test_hosts_make_the_steps_of_one_device_and_one_of_them_writes(on_one_device, tmp_path):
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
    leading, assisting = [told_by(process) for process in processes]
    assert_alike(leading, on_one_device)
    assert assisting == leading


def test_a_strategy_that_is_not_there_is_one_sentence():
    with pytest.raises(ConfigurationError, match="'cloud'; choose one of one-device, mirrored, multi-worker"):
        make_strategy("cloud")


def test_several_hosts_need_to_be_named(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match="needs TF_CONFIG"):
        make_strategy("multi-worker")
