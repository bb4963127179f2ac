"""Threads and GPU of each process."""

import multiprocessing
import time

import pytest
import tensorflow as tf

from model import devices
from model.devices import claim_place, prepare_process, reserve_gpu
from tests.support import warm_process


def _claim(directory, answer):
    answer.send(claim_place(3, directory))
    time.sleep(60)


@pytest.mark.slow("starts TensorFlow in several processes")
def test_process_slots_are_exclusive_until_exit(tmp_path):
    pipes = [multiprocessing.Pipe() for _ in range(3)]
    processes = [warm_process.start(_claim, tmp_path, theirs) for _, theirs in pipes]
    places = [ours.recv() for ours, _ in pipes]
    assert sorted(places) == [0, 1, 2]
    processes[1].kill()
    processes[1].join()
    assert claim_place(3, tmp_path) == places[1], "the place of a process that was killed is free"
    assert claim_place(3, tmp_path) in range(3), "more processes than places share them"
    for process in processes:
        process.kill()


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """What is asked of TensorFlow, which believes in two GPUs."""
    asked = {"growth": []}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda gpus, kind: asked.update(visible=gpus))
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: asked["growth"].append((gpu, on)))
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    reserve_gpu.cache_clear()
    yield asked
    reserve_gpu.cache_clear()
    while devices._claims:
        devices._claims.pop().release()


def test_process_uses_one_gpu_with_memory_growth(two_gpus):
    reserve_gpu()
    assert two_gpus == {"visible": ["GPU:0"], "growth": [("GPU:0", True)]}
    reserve_gpu.cache_clear()
    reserve_gpu()  # like a second process: the first place is taken
    assert two_gpus["visible"] == ["GPU:1"]


def test_process_keeps_the_threads_that_it_has_computed_with(caplog):
    assert (tf.constant(1) + 1).numpy() == 2
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    prepare_process(threads + 7)
    assert tf.config.threading.get_intra_op_parallelism_threads() == threads
    assert f"computes with {threads} threads (0 = all cores), not with {threads + 7}" in caplog.text
