"""Where the shards of a stage are, and what becomes of them."""

from pathlib import Path

import pytest

from pipelines.engines.engine import Sharding
from pipelines.engines.manual import ManualEngine
from pipelines.engines.shards import ImageSource, Shard, read_shard, write_plan, write_shard
from schemas.errors import ConfigurationError
from tasks.base.sharded_stage import ShardedStage
from tasks.runtime.workspace import Workspace


def count(shard: Shard) -> None:
    write_shard(shard, str(shard.count).encode())


class Counting(ShardedStage):
    """Counts images in shards, with a file that workers read."""

    has_plan = True

    def work(self, workspace: Workspace) -> None:
        sharding = self.make_sharding(workspace)
        shards = write_plan([ImageSource(str(number)) for number in range(9)], sharding.directory, 3, "counts.txt")
        (workspace.directory / "input.txt").write_text("read by workers")
        sharding.share(workspace.directory, ["input.txt"])
        sharding.complete(shards, count)
        (workspace.directory / "counts.txt").write_bytes(b"".join(map(read_shard, shards)))


def sharding_of(data_dir: Path, **parameters) -> tuple[Sharding, Counting]:
    stage = Counting(dataset="toys", data_dir=str(data_dir), shards=3, **parameters)
    workspace = Workspace(stage.directory, {}, lambda fraction, message: None)
    return stage.make_sharding(workspace), stage


def test_shards_are_in_the_scratch_directory(data_dir):
    sharding, stage = sharding_of(data_dir, engine="manual")
    assert sharding.directory == str(stage.directory / "scratch")
    assert (sharding.inputs, sharding.count, sharding.engine) == ("", 3, ManualEngine())


def test_engine_manual_is_refused_without_a_plan(data_dir, monkeypatch):
    monkeypatch.setattr(Counting, "has_plan", False)
    with pytest.raises(ConfigurationError, match=r"set another for this stage: --set Counting\.engine=beam\."):
        sharding_of(data_dir, engine="manual")


@pytest.mark.parametrize("shared", ["s3://bucket/prefix", "s3://bucket/prefix/", "/shared", "relative"])
def test_shared_dir_has_shards_by_key_and_inputs_of_all(data_dir, shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sharding, stage = sharding_of(data_dir, shared_dir=shared)
    expected = str(tmp_path / "relative") if shared == "relative" else shared.rstrip("/")
    assert sharding.directory == f"{expected}/shards/{stage.key}"
    assert sharding.inputs == f"{expected}/inputs"
    assert stage.key == sharding_of(data_dir)[1].key


def test_complete_artifact_leaves_inputs_only_in_shared_dir(data_dir, tmp_path, run):
    stage = Counting(dataset="toys", data_dir=str(data_dir), shared_dir=str(tmp_path / "shared"))
    assert run(stage)
    assert (stage.directory / "counts.txt").read_text() == "333"
    assert [path.name for path in (tmp_path / "shared").rglob("*") if path.is_file()] == ["input.txt"]
    assert not list((tmp_path / "shared" / "shards").iterdir())
