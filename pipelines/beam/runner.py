"""Beam runner and the pipeline of all data-parallel stages: shards in, one verified file per shard out."""

import importlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from pipelines import storage
from pipelines.beam.dask import wait_for_cluster
from pipelines.beam.shards import (
    Shard,
    are_finished,
    clear_shards,
    incomplete_shards,
    list_files,
    raise_worker_error,
    shard_of,
    write_error,
)
from schemas.errors import ArtifactError, ConfigurationError, MRNNError, RunnerError
from schemas.io.packages import versions

MANUAL = "manual"  # in place of a class path: shards are computed by other means

Work = Callable[[Shard], None]  # computes a shard's file in a worker; must be picklable


@dataclass(frozen=True)
class BeamRunner:
    """Configuration of a Beam runner.

    Attributes:
        runner: Class path of the runner, or `MANUAL`.
        options: Options of the pipeline, such as `--direct_num_workers=2`.
        hints: Beam resource hints of the ParDo, such as `min_ram` and `4GB`, or `accelerator` and
            `type:nvidia-tesla-t4;count:1`.
    """

    runner: str
    options: tuple[str, ...] = ()
    hints: tuple[tuple[str, str], ...] = ()

    def pipeline(self) -> beam.Pipeline:
        """Return a new pipeline with these options only, independent of the command line."""
        module, _, name = self.runner.rpartition(".")
        try:
            runner = getattr(importlib.import_module(module), name)()
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(f"Beam has no runner {self.runner!r} ({error}); set [beam] runner.") from error
        return beam.Pipeline(runner=runner, options=PipelineOptions(list(self.options)))

    def cores_per_process(self) -> int:
        """Return the number of this machine's cores per worker process.

        Cores of other hosts are unknown; on clusters, set the thread counts explicitly.
        """
        # A container or `taskset` can allow fewer cores than the machine has.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        direct = PipelineOptions(list(self.options)).view_as(DirectOptions)
        if direct.direct_running_mode != "multi_processing":
            return cores
        return max(1, cores // (int(direct.direct_num_workers) or cores))


class ProcessShard(beam.DoFn):
    """Compute the file of the shard of a manifest; the output PCollection is empty, results are files."""

    def __init__(self, work: Work):
        """Store `work`, which a worker calls once per shard, or more often if the runner retries."""
        self.work = work
        self.versions = versions()  # of the driver, where this object is created
        self.storage = storage.configured()

    def process(self, manifest_path: str) -> None:
        """Process one shard; a typed error is written next to it, because runners wrap exceptions."""
        storage.configure(self.storage)
        shard = shard_of(manifest_path)
        try:
            refuse_other_versions(self.versions)
            self.work(shard)
        except MRNNError as error:
            write_error(shard, error)


def refuse_other_versions(driver: Mapping[str, str]) -> None:
    """Check that this process has the versions of the packages that the driver has.

    Raises:
        RunnerError: A package has another version.
    """
    for package, version in versions().items():
        if driver.get(package, version) != version:
            raise RunnerError(
                f"The worker on {socket.gethostname()} has {package} {version}, the driver has {driver[package]}; give "
                "all workers the driver's versions, those of requirements.lock."
            )


def build_pipeline(
    pipeline: beam.Pipeline, shards: Sequence[Shard], work: Work, engine: BeamRunner
) -> beam.PCollection:
    """Build `Create | Reshuffle | ParDo`, which every runner supports and can retry per shard.

    Args:
        pipeline: An empty pipeline.
        shards: Shards whose manifests are written.
        work: Computes a shard's file; must be picklable.
        engine: Runner, for its resource hints.

    Returns:
        The empty output of the ParDo.
    """
    step = beam.ParDo(ProcessShard(work)).with_resource_hints(**dict(engine.hints))
    return (
        pipeline
        | "Manifests" >> beam.Create([shard.manifest_path for shard in shards])
        | beam.Reshuffle()
        | "ProcessShard" >> step
    )


def complete_shards(
    shards: Sequence[Shard], work: Work, engine: BeamRunner, progress: Callable[[float, str], None]
) -> None:
    """Process all incomplete shards, and retry those that fail as long as others are completed.

    Args:
        shards: All shards, whose manifests are written.
        work: Computes a shard's file; must be picklable.
        engine: Runner.
        progress: Called with a fraction and a message.

    Raises:
        MRNNError: `work` raised it on a shard.
        RunnerError: The runner is unreachable or fails, or is `MANUAL`; completed shards are kept.
        ArtifactError: Shards are missing although the runner succeeded.
    """
    missing = incomplete_shards(shards)
    while missing:
        clear_shards(missing)
        if engine.runner == MANUAL:
            raise RunnerError(
                f"{len(missing)} of {len(shards)} shards remain; run `mrnn extract-shard --manifest` on those "
                f"whose manifests are in {missing[0].path.rpartition('/')[0]}, then this command again."
            )
        failure = _run(missing, shards, work, engine, progress)
        raise_worker_error(missing)
        if isinstance(failure, RunnerError):
            raise failure
        left = incomplete_shards(missing)
        if len(left) == len(missing):
            if failure is None:
                raise ArtifactError(
                    f"Shard {left[0].path} (of {len(left)}) is missing although {engine.runner} succeeded; its workers "
                    "must be able to write there, and the driver to read there."
                )
            reason = (str(failure).strip() or type(failure).__name__).splitlines()[-1]
            raise RunnerError(
                f"The Beam runner {engine.runner} failed ({reason}); check [beam] runner and options. Complete shards "
                "are kept."
            ) from failure
        missing = left


def _run(
    missing: Sequence[Shard],
    shards: Sequence[Shard],
    work: Work,
    engine: BeamRunner,
    progress: Callable[[float, str], None],
) -> Exception | None:
    """Run the pipeline once and return the exception of the runner, if any."""
    pipeline = engine.pipeline()
    build_pipeline(pipeline, missing, work, engine)
    try:
        with _watched(shards, progress):
            result = pipeline.run()
            if type(result).__name__ == "DaskRunnerResult":  # by name, because Dask is an extra
                wait_for_cluster(result, pipeline.options, lambda: are_finished(missing))
            else:
                result.wait_until_finish()
    except Exception as error:  # runners raise arbitrary exceptions
        return error
    return None


@contextmanager
def _watched(shards: Sequence[Shard], progress: Callable[[float, str], None]) -> Iterator[None]:
    """Report the number of images in finished shards from a thread while the block runs."""
    total = sum(shard.count for shard in shards)
    stop = threading.Event()

    def report() -> None:
        started, at_start = time.monotonic(), None
        while not stop.wait(2.0):
            try:
                files = list_files(shards)
            except OSError:  # the work itself will raise it, if it lasts
                continue
            done = sum(shard.count for shard in shards if shard.digest_path in files)
            at_start = done if at_start is None else at_start
            rate = (done - at_start) / (time.monotonic() - started)
            progress(done / total, f"{done} of {total} images, {rate:.1f} images/s")

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
