"""Reading ahead: in order, bounded, and with patience for passing faults only."""

import io
import threading

import numpy as np
import pytest
from apache_beam.io.filesystems import FileSystems
from PIL import Image

from pipelines.features.images import ImageSource, ShardCounts, read_ahead
from schemas.features import Reject

PATH = "store://a"


def picture(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def opened(monkeypatch):
    """Stands for a store elsewhere: path -> its bytes, or the errors that opening it raises, one after another."""
    files = {}
    calls = []

    def open_file(path):
        calls.append(path)
        content = files[path]
        if isinstance(content, list):
            content = content.pop(0) if len(content) > 1 else content[0]
        if isinstance(content, Exception):
            raise content
        return io.BytesIO(content)

    monkeypatch.setattr(FileSystems, "open", open_file)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    return files, calls


def read_all(paths, ahead=4):
    counts = ShardCounts()
    return list(read_ahead([ImageSource(path, path) for path in paths], 4, "squash", 2, ahead, counts)), counts


def test_pictures_come_in_order_whoever_is_ready_first(opened):
    files, _ = opened
    files.update({f"store://{level}": picture(level) for level in range(40)})
    found, counts = read_all(files)
    assert [int(crops[0, 0, 0, 0]) for _, crops in found] == list(range(40))
    assert all(crops.shape == (1, 4, 4, 3) and crops.dtype == np.uint8 for _, crops in found)
    assert counts.bytes_read == sum(map(len, files.values()))
    assert counts.decode_seconds > 0


def test_no_more_is_decoded_than_was_allowed(opened):
    files, calls = opened
    files.update({f"store://{level}": picture(level) for level in range(40)})
    reading = read_ahead([ImageSource(path, path) for path in files], 4, "squash", 2, 4, ShardCounts())
    next(reading)
    for thread in threading.enumerate():
        if "ThreadPoolExecutor" in thread.name:
            thread.join(0.2)
    assert len(calls) <= 5
    reading.close()


def test_a_passing_fault_is_waited_out(opened):
    files, calls = opened
    files[PATH] = [OSError("connection reset"), TimeoutError("slow"), picture(7)]
    (((_, crops),), _) = read_all([PATH])
    assert crops[0, 0, 0, 0] == 7
    assert len(calls) == 3


def test_a_lasting_fault_is_a_reject(opened):
    files, calls = opened
    files[PATH] = OSError("connection\nreset")
    (((_, outcome),), _) = read_all([PATH])
    assert outcome == Reject(PATH, "read", "connection reset")
    assert len(calls) == 3


@pytest.mark.parametrize("error", [FileNotFoundError(), PermissionError(), IsADirectoryError()])
def test_what_waiting_cannot_help_is_a_reject_at_once(opened, error):
    files, calls = opened
    files[PATH] = error
    (((_, outcome),), _) = read_all([PATH])
    assert (outcome.stage, len(calls)) == ("read", 1)
