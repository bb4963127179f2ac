"""Apache Beam: every runner of its Python SDK."""

import importlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from pipelines.engines.engine import available_cores
from pipelines.engines.shards import Receipt, shard_of
from schemas.errors import ConfigurationError, RunnerError

METRICS = "mrnn"  # namespace of the metrics
LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


@dataclass(frozen=True)
class BeamEngine:
    """A Beam runner.

    Attributes:
        runner: Class path of the runner; Beam's local one by default.
        options: Options of the pipeline.
        hints: Resource hints of the ParDo, such as `min_ram="4GB"` or `accelerator="type:nvidia-tesla-t4;count:1"`.
    """

    runner: str = LOCAL_RUNNER
    options: tuple[str, ...] = ()
    hints: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Name of the runner."""
        return f"Beam runner {self.runner}"

    def map(self, function: Callable[[str], Receipt | None], manifests: Sequence[str]) -> None:
        """Run `Create | Reshuffle | ParDo`, which every runner supports and can retry per manifest.

        Raises:
            ConfigurationError: There is no such runner.
            RunnerError: A process of the local runner was killed, for which that runner waits forever.
            Exception: The runner raised it.
        """
        pipeline = self.build_pipeline(function, manifests)
        if self._is_multi_processing():
            _run_until_a_worker_dies(pipeline)
        else:
            pipeline.run().wait_until_finish()

    def build_pipeline(self, function: Callable[[str], Receipt | None], manifests: Sequence[str]) -> beam.Pipeline:
        """Return the pipeline; it has these options only, independent of the command line.

        Raises:
            ConfigurationError: There is no such runner.
        """
        module, _, name = self.runner.rpartition(".")
        try:
            runner = getattr(importlib.import_module(module), name)()
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(f"Beam has no runner {self.runner!r} ({error}); set [beam] runner.") from error
        pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(list(self.options)))
        step = beam.ParDo(_Call(function)).with_resource_hints(**dict(self.hints))
        _ = pipeline | "Manifests" >> beam.Create(list(manifests)) | beam.Reshuffle() | "ProcessShard" >> step
        return pipeline

    def cores_per_process(self) -> int:
        """Return the number of this machine's cores per worker process.

        Cores of other hosts are unknown; on clusters, set the thread counts explicitly.
        """
        cores = available_cores()
        if not self._is_multi_processing():
            return cores
        return max(1, cores // (int(self._direct_options().direct_num_workers) or cores))

    def _is_multi_processing(self) -> bool:
        return bool(self._direct_options().direct_running_mode == "multi_processing")

    def _direct_options(self) -> DirectOptions:
        return PipelineOptions(list(self.options)).view_as(DirectOptions)


class _Call(beam.DoFn):
    """Calls the function; the output PCollection is empty.

    Runners that have metrics show those of `METRICS`; nothing depends on them.
    """

    def __init__(self, function: Callable[[str], Receipt | None]):
        self.function = function
        self.images = Metrics.counter(METRICS, "images")
        self.rejects = Metrics.counter(METRICS, "rejects")
        self.seconds = Metrics.distribution(METRICS, "seconds_per_shard")

    def process(self, manifest: str) -> None:
        started = time.monotonic()
        receipt = self.function(manifest)
        self.seconds.update(round(time.monotonic() - started))
        if receipt:
            self.rejects.inc(len(receipt.get("rejects", ())))
            self.images.inc(shard_of(manifest).count)


def _run_until_a_worker_dies(pipeline: beam.Pipeline) -> None:
    """Run a pipeline on processes of this machine, for whose answers Beam waits forever if they are killed.

    Beam notices their end in threads of its own, whose exceptions nobody else receives.
    """
    ended = threading.Event()
    errors: list[BaseException] = []
    previous = threading.excepthook

    def run() -> None:
        try:
            pipeline.run().wait_until_finish()
        except BaseException as error:
            errors.append(error)
        ended.set()

    def on_exception(args: threading.ExceptHookArgs) -> None:
        previous(args)
        if args.thread is not None and args.thread.name == "run_worker":
            errors.append(
                RunnerError(
                    f"A process of Beam's local runner ended too early ({args.exc_value}), for example because memory "
                    "was exhausted; run the command again. Complete shards are kept."
                )
            )
            ended.set()

    threading.excepthook = on_exception
    try:
        threading.Thread(target=run, daemon=True).start()
        ended.wait()
    finally:
        threading.excepthook = previous
    if errors:
        raise errors[0]
