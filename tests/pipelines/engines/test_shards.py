"""Shards: ranges of images, completeness, and errors of workers."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import storage
from pipelines.engines.shards import (
    ImageSource,
    are_finished,
    clear_shards,
    incomplete_shards,
    is_shard_complete,
    plan_shards,
    raise_worker_error,
    shard_of,
    write_error,
    write_plan,
    write_shard,
)
from schemas.errors import ArtifactError, InputError


@given(st.integers(0, 200), st.integers(1, 30), st.integers(1, 12))
def test_shards_are_ranges_of_blocks_of_nearly_equal_number(total, count, block):
    shards = plan_shards(total, "d", count, "rows.jsonl", block)
    assert [number for shard in shards for number in range(shard.first, shard.first + shard.count)] == [*range(total)]
    assert len(shards) <= count
    assert all(shard.count > 0 and shard.first % block == 0 for shard in shards)
    blocks = {-(-shard.count // block) for shard in shards}
    assert not blocks or max(blocks) - min(blocks) <= 1


def test_shards_of_two_plans_have_different_names_unless_they_are_equal():
    ranges = {}
    for count in range(1, 30):
        for shard in plan_shards(100, "d", count, "rows.jsonl", 7):
            assert ranges.setdefault(shard.path, shard) == shard


@given(st.lists(st.tuples(st.text(), st.text()), max_size=30), st.integers(1, 9))
def test_manifests_keep_all_images_in_order(tmp_path_factory, pairs, count):
    images = [ImageSource(*pair) for pair in pairs]
    shards = write_plan(images, str(tmp_path_factory.mktemp("plan")), count, "rows.h5")
    assert [image for shard in shards for image in shard.read_images()] == images
    assert [shard_of(shard.manifest_path) for shard in shards] == shards


def test_manifest_is_json_lines_of_id_and_path(tmp_path):
    (shard,) = write_plan([ImageSource("a", "/b/c.jpg"), ImageSource("\u00e9")], str(tmp_path), 1, "rows.h5")
    assert shard.manifest_path == f"{tmp_path}/rows-0000000-0000001.h5.manifest.jsonl"
    lines = Path(shard.manifest_path).read_text().splitlines()
    assert list(map(json.loads, lines)) == [{"id": "a", "path": "/b/c.jpg"}, {"id": "\u00e9", "path": ""}]


@pytest.mark.parametrize(
    "damage", [b"", b'{"id": "a", "path": "b"}\n' * 3, b"no JSON\n", b'{"path": "a"}\n', b"7\n", b"\xff\n"]
)
def test_damaged_manifest_is_named(shard, damage):
    Path(shard.manifest_path).write_bytes(damage)
    with pytest.raises(ArtifactError, match=rf"^Manifest {shard.manifest_path} .*; plan the shards again\.$"):
        shard.read_images()


@pytest.mark.parametrize("name", ["rows.h5", "rows-01-02.h5", "rows.h5.manifest.jsonl"])
def test_other_file_in_place_of_a_manifest_is_named(name):
    with pytest.raises(ArtifactError, match=rf"^{name} is not a manifest"):
        shard_of(name)


@pytest.fixture
def shard(tmp_path):
    (one,) = write_plan([ImageSource("a")], str(tmp_path), 1, "rows.h5")
    return one


def test_shard_with_its_digest_is_complete(shard):
    assert not is_shard_complete(shard)
    write_shard(shard, b"features")
    assert is_shard_complete(shard)
    Path(shard.path).write_bytes(b"feature")
    assert not is_shard_complete(shard)
    write_shard(shard, b"others")
    assert is_shard_complete(shard)
    Path(shard.path).unlink()
    assert not is_shard_complete(shard)
    assert not list(Path(shard.path).parent.glob("*.tmp"))


def test_worker_error_is_raised_until_cleared(shard):
    raise_worker_error([shard])
    write_error(shard, InputError("the weights are damaged"))
    assert are_finished([shard])
    with pytest.raises(InputError, match=r"^the weights are damaged$"):
        raise_worker_error([shard])
    clear_shards([shard])
    raise_worker_error([shard])
    assert not are_finished([shard])


def test_shards_are_listed_once(tmp_path, monkeypatch):
    shards = write_plan([ImageSource(str(number)) for number in range(100)], str(tmp_path), 100, "rows.h5")
    write_shard(shards[7], b"rows")
    listed = []
    real = storage.list_files
    monkeypatch.setattr(storage, "list_files", lambda directory: listed.append(directory) or real(directory))
    for unused in ("exists", "delete"):
        monkeypatch.setattr(storage, unused, None)
    assert incomplete_shards(shards) == [*shards[:7], *shards[8:]]
    clear_shards(shards[8:])
    raise_worker_error(shards)
    assert not are_finished(shards)
    assert len(listed) == 4
