"""Reading ahead: in order and bounded; what cannot be read is a reject."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from model.backbones.images import cut_crops
from pipelines import storage
from pipelines.engines.shards import ImageSource
from pipelines.features.images import ShardCounts, read_ahead
from schemas.errors import MissingObjectError
from schemas.features import Reject

PATH = "store://a"


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def opened(monkeypatch):
    """Stands for a store: path -> its bytes, or the error that reading it raises."""
    files = {}
    calls = []

    def read(path):
        calls.append(path)
        content = files[path]
        if isinstance(content, Exception):
            raise content
        return content

    monkeypatch.setattr(storage, "read", read)
    return files, calls


def squash(_, image):
    return cut_crops(image, 4, "squash")


def read_all(paths, ahead=4):
    counts = ShardCounts()
    return list(read_ahead([ImageSource(path, path) for path in paths], squash, 2, ahead, counts)), counts


def test_pictures_come_in_order_whoever_is_ready_first(opened):
    files, _ = opened
    files.update({f"store://{level}": png(level) for level in range(40)})
    found, counts = read_all(files)
    assert [int(crops[0, 0, 0, 0]) for _, crops in found] == list(range(40))
    assert all(crops.shape == (1, 4, 4, 3) and crops.dtype == np.uint8 for _, crops in found)
    assert counts.bytes_read == sum(map(len, files.values()))
    assert counts.decode_seconds > 0


def test_decoder_respects_the_pixel_limit(opened):
    files, calls = opened
    files.update({f"store://{level}": png(level) for level in range(40)})
    reading = read_ahead([ImageSource(path, path) for path in files], squash, 2, 4, ShardCounts())
    next(reading)
    for thread in threading.enumerate():
        if "ThreadPoolExecutor" in thread.name:
            thread.join(0.2)
    assert len(calls) <= 5
    reading.close()


@pytest.mark.parametrize(
    "error", [OSError("connection\nreset"), FileNotFoundError(), MissingObjectError("store://a does not exist.")]
)
def test_unreadable_image_is_a_reject(opened, error):
    files, _ = opened
    files[PATH] = error
    (((_, outcome),), _) = read_all([PATH])
    assert outcome == Reject(PATH, "read", " ".join(str(error).split()))


def test_undecodable_object_is_a_reject(opened):
    files, _ = opened
    files[PATH] = b"no image"
    (((_, outcome),), _) = read_all([PATH])
    assert (outcome.image_id, outcome.stage) == (PATH, "decode")
