"""Near-duplicates by definition, and of a photograph."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from pipelines.data import validate_dataset as module
from pipelines.data.validate_dataset import MAX_DISTANCE, image_hash, near_duplicates


@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_near_duplicates_are_pairs_of_two_splits_with_few_different_bits(seed, count):
    random = np.random.default_rng(seed)
    hashes = random.random((3, 64))[random.integers(0, 3, count)] < 0.5
    hashes ^= random.random(hashes.shape) < 0.04
    splits = [("train", "val", "test")[number] for number in random.integers(0, 3, count)]
    by_definition = [
        (row, other, int(np.count_nonzero(hashes[row] != hashes[other])))
        for row in range(count)
        for other in range(row + 1, count)
        if splits[row] != splits[other] and np.count_nonzero(hashes[row] != hashes[other]) <= MAX_DISTANCE
    ]
    assert near_duplicates(hashes, splits) == sorted(by_definition, key=lambda pair: (pair[2], pair))


def test_pairs_are_found_in_every_block(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ROWS", 2)
    hashes = np.random.default_rng(0).random((5, 64)) < 0.5
    assert near_duplicates(np.concatenate([hashes, hashes]), ["train"] * 5 + ["test"] * 5) == [
        (row, row + 5, 0) for row in range(5)
    ]


@pytest.fixture
def photo():
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)


def test_near_duplicates_match_edited_copies_only(photo, tmp_path):
    ImageEnhance.Brightness(photo.resize((120, 90))).enhance(1.1).save(tmp_path / "copy.jpg", quality=60)
    with Image.open(tmp_path / "copy.jpg") as copy:
        alike = np.count_nonzero(image_hash(photo) != image_hash(copy))
    other = np.count_nonzero(image_hash(photo) != image_hash(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    assert alike <= MAX_DISTANCE < other
