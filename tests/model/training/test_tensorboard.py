"""Event files as TensorBoard itself reads them."""

from collections import defaultdict

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from model.training.tensorboard import write_events

REPORT = {
    "epoch": 1,
    "loss": 7.5,
    "train_perplexity": 90.0,
    "learning_rate": 1e-3,
    "tokens_per_second": 1234.5,
    "val_perplexity": 80.0,
    "val_cider": 0.25,
    "seconds": 3.0,
}


def read(directory):
    events = EventAccumulator(str(directory))
    events.Reload()
    points = defaultdict(list)
    for tag in events.Tags()["tensors"]:
        for event in events.Tensors(tag):
            points[tag].append((event.step, float(tensor_util.make_ndarray(event.tensor_proto))))
    return dict(points)


def test_tensorboard_reads_the_curve(tmp_path):
    write_events(tmp_path, REPORT)
    write_events(tmp_path, {**REPORT, "epoch": 2, "loss": 6.5})
    points = read(tmp_path)
    assert points["training/loss"] == [(1, 7.5), (2, 6.5)]
    assert points["validation/CIDEr"] == [(1, 0.25), (2, 0.25)]
    assert points["training/learning rate"][0][1] == pytest.approx(1e-3)
    assert len(points) == 6


def test_rewritten_epoch_has_one_point(tmp_path):
    write_events(tmp_path, REPORT)
    write_events(tmp_path, {**REPORT, "loss": 6.5})
    assert read(tmp_path)["training/loss"] == [(1, 6.5)]


def test_perplexity_beyond_float32_is_infinite(tmp_path):
    write_events(tmp_path, {**REPORT, "val_perplexity": 1e300})
    assert read(tmp_path)["validation/perplexity"] == [(1, float("inf"))]
