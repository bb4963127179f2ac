"""Apache Spark, by its own Python API."""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.engines.engine import SECONDS_BETWEEN_LOOKS
from pipelines.engines.shards import Receipt
from schemas.errors import ConfigurationError, RunnerError
from schemas.text import reason


@dataclass(frozen=True)
class SparkEngine:
    """A Spark cluster.

    Attributes:
        master: Its address, such as `spark://host:7077`, `yarn`, `k8s://https://host` or `local[4]`.
        options: Properties of Spark's configuration.
        timeout: Seconds without a running task after which the run is abandoned.
    """

    master: str
    options: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 60.0

    @property
    def name(self) -> str:
        """Name of the cluster."""
        return f"Spark cluster {self.master}"

    def map(self, function: Callable[[str], Receipt | None], manifests: Sequence[str]) -> None:
        """Run a task per manifest.

        Raises:
            ConfigurationError: PySpark is not installed, or there is no address of a master.
            RunnerError: There are no executors, or the driver's Java program has ended.
            Exception: A worker raised it.
        """
        if not self.master:
            raise ConfigurationError("The engine spark needs the address of a master; set [spark] master.")
        try:
            from py4j.protocol import Py4JError
            from pyspark import SparkConf, SparkContext
        except ImportError as error:
            raise ConfigurationError(f"Spark is not installed ({error}); install the extra `spark`.") from error
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        quiet = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
        conf = SparkConf().setMaster(self.master).setAppName("m-RNN").setAll([*{**quiet, **self.options}.items()])
        try:
            with SparkContext(conf=conf) as context:
                rows = context.parallelize(manifests, len(manifests))
                self._wait(context, lambda: rows.foreach(function))
        except (Py4JError, OSError) as error:
            raise RunnerError(
                f"{self.name} cannot be used, or the Java program of its driver ended ({reason(error, 200)}); see the "
                "log and run the command again. Complete shards are kept."
            ) from error

    def cores_per_process(self) -> int:
        """Return the number of cores that Spark reserves for a task."""
        return int(self.options.get("spark.task.cpus", "1"))

    def _wait(self, context: Any, action: Callable[[], None]) -> None:
        """Run an action, which blocks, until no task has run for `timeout` seconds."""
        errors: list[Exception] = []

        def run() -> None:
            try:
                action()
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        tracker, seen = context.statusTracker(), time.monotonic()
        while thread.is_alive():
            thread.join(SECONDS_BETWEEN_LOOKS)
            stages = map(tracker.getStageInfo, tracker.getActiveStageIds())
            if any(stage and stage.numActiveTasks for stage in stages):
                seen = time.monotonic()
            elif thread.is_alive() and time.monotonic() - seen > self.timeout:
                raise RunnerError(
                    f"The Spark cluster {self.master} has run no task for {self.timeout:.0f} s; start some executors, "
                    "or wait for longer by [engine] timeout. Complete shards are kept."
                )
        if not errors:
            return
        traceback, stack, _ = str(errors[0]).partition("\n\tat ")
        if not stack:  # it is not from a task
            raise errors[0]
        raise RuntimeError(traceback.partition("SQLSTATE:")[0].rstrip()) from errors[0]
