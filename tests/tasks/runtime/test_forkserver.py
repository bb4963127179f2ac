"""Stages run in fresh processes, forked by a server that has imported their libraries."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from schemas.io.files import read_json
from tasks.runtime import forkserver
from tasks.runtime.executor import StageFailed
from tests.support.toys import Preloaded, Surroundings, Waiting


@pytest.fixture(autouse=True)
def _own_servers():
    """Each test starts its servers and stops them."""
    forkserver.stop_servers()
    yield
    forkserver.stop_servers()


def make(stage, data_dir):
    """Make the artifact again; return what the stage found in its process."""
    task = stage(dataset="toys", data_dir=str(data_dir))
    shutil.rmtree(task.directory, ignore_errors=True)
    task.run()
    return read_json(task.directory / "found.json")


def test_stages_have_processes_of_their_own_from_one_server(data_dir):
    first, second = make(Surroundings, data_dir), make(Surroundings, data_dir)
    assert first["server"] == second["server"]
    assert len({first["process"], second["process"], first["server"], os.getpid()}) == 4
    assert psutil.Process(first["server"]).ppid() == os.getpid()
    assert psutil.Process(first["server"]).children() == []


def test_modules_are_preloaded_for_stages_that_need_them(data_dir):
    without, having = make(Surroundings, data_dir), make(Preloaded, data_dir)
    assert having["modules"] == ["wave", "numpy"]
    assert "wave" not in without["modules"]
    assert having["server"] != without["server"]


def test_global_random_state_is_not_inherited(data_dir):
    assert make(Preloaded, data_dir)["random"] != make(Preloaded, data_dir)["random"]


@pytest.mark.parametrize(
    ("platform", "devices", "hidden", "expected"),
    [
        ("linux", [], None, True),
        ("linux", ["nvidia0"], None, False),
        ("linux", ["nvidia0"], "-1", True),
        ("linux", ["nvidia0"], "", True),
        ("linux", ["nvidiactl"], None, True),
        ("darwin", [], None, False),
    ],
)
def test_can_preload_requires_linux_without_visible_gpu(monkeypatch, tmp_path, platform, devices, hidden, expected):
    for name in devices:
        (tmp_path / name).touch()
    monkeypatch.setattr(forkserver, "DEVICES", tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    if hidden is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert forkserver.can_preload() == expected


def test_stage_without_preloading_imports_its_modules(data_dir, monkeypatch):
    monkeypatch.setattr(forkserver, "can_preload", lambda: False)
    assert "wave" not in make(Preloaded, data_dir)["modules"]


def test_environment_and_directory_are_those_of_the_request(data_dir, tmp_path, monkeypatch):
    assert make(Surroundings, data_dir)["variable"] is None
    monkeypatch.setenv("TOY_VARIABLE", "set later")
    monkeypatch.chdir(tmp_path)
    found = make(Surroundings, data_dir)
    assert (found["variable"], found["directory"]) == ("set later", str(tmp_path))


def test_killed_server_is_reported_and_restarted(data_dir):
    waiting = Waiting(dataset="toys", data_dir=str(data_dir))
    threading.Thread(target=_kill_server_of, args=[waiting.directory / "found.json"]).start()
    with pytest.raises(StageFailed, match=r"^Waiting \w{10}: its process was killed together with the server"):
        waiting.run()
    found = read_json(waiting.directory / "found.json")
    deadline = time.monotonic() + 10
    while psutil.pid_exists(found["process"]):  # it ends with its server
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert make(Preloaded, data_dir)["server"] != found["server"]


def _kill_server_of(path):
    while not path.exists():
        time.sleep(0.05)
    os.kill(read_json(path)["server"], signal.SIGKILL)


def test_parameters_of_other_stages_on_the_command_line_reach_the_process(data_dir):
    command = [sys.executable, "-m", "luigi", "--module", "tests.support.toys", "Surroundings", "--local-scheduler"]
    options = ["--dataset", "toys", "--data-dir", str(data_dir), "--Source-text=-b", "--workers", "2"]
    subprocess.run([*command, *options], env={**os.environ, "PYTHONPATH": str(Path.cwd())}, check=True)
    (path,) = data_dir.glob("toys/Surroundings/*/found.json")
    assert read_json(path)["text"] == "-b"


def test_stages_compute_with_onednn_unless_the_environment_decides(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    assert forkserver.stage_environment(verbose=False)["TF_ENABLE_ONEDNN_OPTS"] == "1"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert forkserver.stage_environment(verbose=False)["TF_ENABLE_ONEDNN_OPTS"] == "0"
