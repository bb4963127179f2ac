"""Processing of shards on an unreliable runner."""

import os
from functools import partial
from pathlib import Path

import pytest
from apache_beam.metrics import MetricsFilter

from pipelines.engines.beam import METRICS, BeamEngine
from pipelines.engines.engine import ProcessShard, complete_shards
from pipelines.engines.shards import ImageSource, Receipt, Shard, is_shard_complete, write_plan, write_shard
from schemas.errors import ArtifactError, ConfigurationError, RunnerError, TrainingError
from schemas.io.packages import versions

LOCAL = BeamEngine()


@pytest.fixture
def shards(tmp_path):
    return write_plan([ImageSource(str(number)) for number in range(40)], str(tmp_path), 5, "rows.txt")


def complete(shards, work, engine=LOCAL):
    complete_shards(shards, work, engine, lambda fraction, message: None)


def write(shard: Shard) -> None:
    write_shard(shard, b" ".join(image.image_id.encode() for image in shard.read_images()))


def write_once_out_of_two(shard: Shard, tries: Path) -> None:
    """Raise the first time a shard is worked on."""
    mark = tries / Path(shard.path).name
    if not mark.exists():
        mark.touch()
        raise OSError("a passing fault")
    write(shard)


def write_first_only(shard: Shard, first: str) -> None:
    if shard.path == first:
        write(shard)


def fail_typed(shard: Shard) -> None:
    raise TrainingError(f"{shard.count} is too many")


def test_runner_makes_all_shards(shards):
    complete(shards, write)
    assert all(is_shard_complete(shard) for shard in shards)


def write_with_a_reject(shard: Shard) -> Receipt:
    return write_shard(shard, b"", {"rejects": [{"image_id": "0", "error": "unreadable"}]})


def test_beam_reports_images_rejects_and_seconds(shards):
    manifests = [shard.manifest_path for shard in shards]
    result = LOCAL.build_pipeline(ProcessShard(write_with_a_reject), manifests).run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace(METRICS))
    counters = {each.key.metric.name: each.committed for each in found["counters"]}
    assert counters == {"images": 40, "rejects": len(shards)}
    (seconds,) = found["distributions"]
    assert seconds.committed.count == len(shards)


def test_beam_counts_nothing_of_a_shard_with_an_error(shards):
    result = LOCAL.build_pipeline(ProcessShard(fail_typed), [shards[0].manifest_path]).run()
    result.wait_until_finish()
    assert result.metrics().query(MetricsFilter().with_name("images"))["counters"] == []


def test_failing_runner_is_retried_while_it_progresses(shards, tmp_path):
    write(shards[0])
    tries = tmp_path / "tries"
    tries.mkdir()
    (tries / Path(shards[1].path).name).touch()
    (tries / Path(shards[2].path).name).touch()
    with pytest.raises(RunnerError, match="a passing fault"):  # a run that only fails ends it
        complete(shards[3:], partial(write_once_out_of_two, tries=tries))
    complete(shards, partial(write_once_out_of_two, tries=tries))
    assert all(is_shard_complete(shard) for shard in shards)


def test_incomplete_shards_are_named(shards):
    with pytest.raises(
        ArtifactError,
        match=r"rows-0000008-0000015\.txt \(of 4\) is missing although Beam runner .*FnApiRunner succeeded",
    ):
        complete(shards, partial(write_first_only, first=shards[0].path))
    assert is_shard_complete(shards[0])


def test_typed_worker_error_is_reraised(shards):
    with pytest.raises(TrainingError, match=f"^{shards[0].count} is too many$"):
        complete(shards, fail_typed)


def test_worker_with_another_version_is_refused(shards, monkeypatch):
    ours = versions()
    monkeypatch.setattr("pipelines.engines.engine.ProcessShard", partial(ProcessShard, versions=OLD))
    message = (
        rf"^The worker on \S+ has numpy {ours['numpy']}, the driver has 1\.0; give all workers the driver's versions"
    )
    with pytest.raises(RunnerError, match=message):
        complete(shards, write)


OLD = {"numpy": "1.0", "of-the-driver-only": "2"}


def test_unknown_runner_is_a_configuration_error(shards):
    with pytest.raises(ConfigurationError, match=r"no runner 'apache_beam\.NoRunner'"):
        complete(shards, write, BeamEngine("apache_beam.NoRunner"))


def test_resource_hints_reach_the_step():
    from apache_beam.transforms.resources import ResourceHint

    accelerator = "type:nvidia-h100;count:1;install-nvidia-driver"
    hinted = BeamEngine(hints=(("min_ram", "8GB"), ("accelerator", accelerator)))
    pipeline = hinted.build_pipeline(write, [])
    environments = pipeline.to_runner_api().components.environments.values()
    hints = {urn: value for each in environments for urn, value in each.resource_hints.items()}
    assert hints[ResourceHint.get_by_name("accelerator").urn] == accelerator.encode()
    assert hints[ResourceHint.get_by_name("min_ram").urn] == b"8000000000"


def test_processes_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert LOCAL.cores_per_process() == 8
    for workers, cores in ((0, 1), (2, 4), (3, 2), (16, 1)):
        options = ("--direct_running_mode=multi_processing", f"--direct_num_workers={workers}")
        assert BeamEngine(options=options).cores_per_process() == cores
