"""Batches that exceed the memory are halved once."""

import numpy as np
import pytest
import tensorflow as tf

from model.backbones.base import SplitOnOOM
from schemas.errors import ResourceError


class Limited:
    """Doubles up to `room` numbers at a time."""

    def __init__(self, room: int):
        self.room = room
        self.sizes: list[int] = []

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        self.sizes.append(len(numbers))
        if len(numbers) > self.room:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return numbers * 2


def test_split_on_oom_keeps_a_batch_that_fits():
    limited = Limited(room=8)
    np.testing.assert_array_equal(SplitOnOOM(limited)(np.arange(8)), np.arange(8) * 2)
    assert limited.sizes == [8]


def test_split_on_oom_halves_from_then_on():
    limited = Limited(room=4)
    backing_off = SplitOnOOM(limited)
    for _ in range(2):
        np.testing.assert_array_equal(backing_off(np.arange(7)), np.arange(7) * 2)
    np.testing.assert_array_equal(backing_off(np.arange(1)), [0])
    assert limited.sizes == [7, 4, 3, 4, 3, 1]


@pytest.mark.parametrize("images", [1, 8])
def test_split_on_oom_raises_when_halves_do_not_fit(images):
    with pytest.raises(ResourceError, match=rf"^Memory ran out for {images} images in . parts; lower batch_size\.$"):
        SplitOnOOM(Limited(room=0))(np.arange(images))
