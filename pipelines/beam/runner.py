"""Where a Beam pipeline runs, and the one line that all of ours are: shards in, a file a shard out, files verified."""

import importlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from pipelines.beam.dask import wait_for_cluster
from pipelines.beam.shards import Shard, clear_shard, is_finished, is_shard_complete, raise_worker_error, write_error
from schemas.errors import ArtifactError, ConfigurationError, MRNNError, RunnerError
from schemas.io.packages import versions

Work = Callable[[Shard], None]  # makes a shard's file, in a worker; must be picklable


@dataclass(frozen=True)
class BeamRunner:
    """Where the pipeline runs: a runner's class path, its options, and the hints of the one ParDo.

    Hints are Beam resource hints such as `min_ram="4GB"` or `accelerator="type:nvidia-tesla-t4;count:1"`.
    """

    runner: str
    options: tuple[str, ...] = ()
    hints: tuple[tuple[str, str], ...] = ()

    def pipeline(self) -> beam.Pipeline:
        """A new pipeline on this engine; its options are these alone, whatever the command line says."""
        module, _, name = self.runner.rpartition(".")
        try:
            runner = getattr(importlib.import_module(module), name)()
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(f"Beam has no runner {self.runner!r} ({error}); set [beam] runner.") from error
        return beam.Pipeline(runner=runner, options=PipelineOptions(list(self.options)))

    def cores_per_process(self) -> int:
        """This machine's cores for each worker process: all for one, a share for each of `multi_processing`'s.

        What other hosts have is not known here; runners that use them want thread counts set by hand.
        """
        # A container or `taskset` can allow fewer cores than the machine has.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        direct = PipelineOptions(list(self.options)).view_as(DirectOptions)
        if direct.direct_running_mode != "multi_processing":
            return cores
        return max(1, cores // (int(direct.direct_num_workers) or cores))


class ProcessShard(beam.DoFn):
    """Shard -> its file. Nothing is given back: whoever wants to know looks at the files."""

    def __init__(self, work: Work):
        """`work` is called in the worker, once a shard, or more often if the runner sees fit."""
        self.work = work
        self.versions = versions()  # of the driver, for that is where this is made

    def process(self, shard: Shard) -> None:
        """Works on one shard; a typed error is left beside it, since runners make of exceptions what they like."""
        try:
            self._refuse_other_versions()
            self.work(shard)
        except MRNNError as error:
            write_error(shard, error)

    def _refuse_other_versions(self) -> None:
        for package, version in versions().items():
            if self.versions.get(package, version) != version:
                raise RunnerError(
                    f"The worker on {socket.gethostname()} has {package} {version}, the driver has "
                    f"{self.versions[package]}; give all workers the driver's versions, those of requirements.lock."
                )


def build_pipeline(
    pipeline: beam.Pipeline, shards: Sequence[Shard], work: Work, engine: BeamRunner
) -> beam.PCollection:
    """`Create | Reshuffle | ParDo`: what every runner can do, and can do again for a shard that got lost."""
    step = beam.ParDo(ProcessShard(work)).with_resource_hints(**dict(engine.hints))
    return pipeline | "Shards" >> beam.Create(list(shards)) | beam.Reshuffle() | "ProcessShard" >> step


def complete_shards(
    shards: Sequence[Shard], work: Work, engine: BeamRunner, progress: Callable[[float, str], None]
) -> None:
    """Has `work` done on every shard that is not whole yet, again and again while that completes any.

    Raises:
        MRNNError: what `work` raised on a shard.
        RunnerError: the runner cannot be reached or gives up; shards that are whole are kept.
        ArtifactError: the runner says that all is well, but shards are missing.
    """
    missing = [shard for shard in shards if not is_shard_complete(shard)]
    while missing:
        for shard in missing:
            clear_shard(shard)
        failure = _run(missing, shards, work, engine, progress)
        for shard in missing:
            raise_worker_error(shard)
        if isinstance(failure, RunnerError):
            raise failure
        left = [shard for shard in missing if not is_shard_complete(shard)]
        if len(left) == len(missing):
            if failure is None:
                raise ArtifactError(
                    f"Shard {left[0].path} (of {len(left)}) is not there although {engine.runner} ended well; its "
                    "workers must be able to write there, and the driver to read there."
                )
            reason = (str(failure).strip() or type(failure).__name__).splitlines()[-1]
            raise RunnerError(
                f"The Beam runner {engine.runner} failed ({reason}); check [beam] runner and options. Shards that are "
                "done are kept."
            ) from failure
        missing = left


def _run(
    missing: Sequence[Shard],
    shards: Sequence[Shard],
    work: Work,
    engine: BeamRunner,
    progress: Callable[[float, str], None],
) -> Exception | None:
    """One run of the pipeline; returns what the runner raised."""
    pipeline = engine.pipeline()
    build_pipeline(pipeline, missing, work, engine)
    try:
        with _watched(shards, progress):
            result = pipeline.run()
            if type(result).__name__ == "DaskRunnerResult":  # by its name: Dask is an extra
                wait_for_cluster(result, pipeline.options, lambda: all(map(is_finished, missing)))
            else:
                result.wait_until_finish()
    except Exception as error:  # runners raise what they like
        return error
    return None


@contextmanager
def _watched(shards: Sequence[Shard], progress: Callable[[float, str], None]) -> Iterator[None]:
    """Reports, from a thread, how many images lie in finished shards, while the block runs."""
    total = sum(len(shard.items) for shard in shards)
    stop = threading.Event()

    def report() -> None:
        started, at_start = time.monotonic(), None
        while not stop.wait(2.0):
            done = sum(len(shard.items) for shard in shards if FileSystems.exists(shard.digest_path))
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
