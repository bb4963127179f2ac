"""Shards: dealt by image, whole or not, and the errors that workers leave."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.beam.shards import (
    clear_shard,
    is_shard_complete,
    plan_ranges,
    plan_shards,
    raise_worker_error,
    write_error,
    write_shard,
)
from schemas.errors import InputError


@dataclass(frozen=True)
class Image:
    image_id: str


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 9))
def test_every_item_is_in_one_shard_in_order_and_where_its_id_says(ids, count):
    items = [Image(image_id) for image_id in ids]
    shards = plan_shards(items, "d", count, "rows.h5")
    assert sorted(item.image_id for shard in shards for item in shard.items) == sorted(ids)
    for shard in shards:
        assert list(shard.items) == sorted(shard.items, key=items.index)
        for item in shard.items:
            assert [one.path for one in plan_shards([item], "d", count, "rows.h5")] == [shard.path]


def test_shards_are_spread_evenly():
    shards = plan_shards([Image(str(number)) for number in range(4000)], "d", 4, "rows.h5")
    assert all(900 < len(shard.items) < 1100 for shard in shards)


@given(st.integers(0, 200), st.integers(1, 30), st.integers(1, 12))
def test_ranges_follow_one_another_in_whole_blocks_and_differ_by_one_at_most(items, count, block):
    shards = plan_ranges(range(items), "d", count, "rows.jsonl", block)
    assert [item for shard in shards for item in shard.items] == list(range(items))
    assert len(shards) <= count
    assert all(shard.items[0] == shard.first and shard.first % block == 0 for shard in shards)
    blocks = {-(-len(shard.items) // block) for shard in shards}
    assert not blocks or max(blocks) - min(blocks) <= 1


def test_the_files_of_two_cuts_are_never_mistaken_for_one_another():
    ranges = {}
    for count in range(1, 30):
        for shard in plan_ranges(range(100), "d", count, "rows.jsonl", 7):
            assert ranges.setdefault(shard.path, shard.items) == shard.items


@pytest.fixture
def shard(tmp_path):
    (one,) = plan_shards([Image("a")], str(tmp_path), 1, "rows.h5")
    return one


def test_whole_is_what_has_its_digest(shard):
    assert not is_shard_complete(shard)
    write_shard(shard, b"features")
    assert is_shard_complete(shard)
    Path(shard.path).write_bytes(b"feature5")
    assert not is_shard_complete(shard)
    write_shard(shard, b"others")
    assert is_shard_complete(shard)
    Path(shard.path).unlink()
    assert not is_shard_complete(shard)
    assert not list(Path(shard.path).parent.glob("*.tmp"))


def test_an_error_is_left_and_raised_and_cleared(shard):
    raise_worker_error(shard)
    write_error(shard, InputError("the weights are damaged"))
    with pytest.raises(InputError, match=r"^the weights are damaged$"):
        raise_worker_error(shard)
    clear_shard(shard)
    raise_worker_error(shard)
