"""Engines, which map a function over the manifests of shards; each shard gives one verified file."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipelines import storage
from pipelines.engines.inputs import InputFiles, copy_inputs
from pipelines.engines.shards import (
    Receipt,
    Shard,
    clear_shards,
    incomplete_shards,
    list_files,
    raise_worker_error,
    shard_of,
    write_error,
)
from schemas.errors import ArtifactError, MRNNError, RunnerError
from schemas.io.packages import versions

Work = Callable[[Shard], Receipt]  # computes a shard's file in a worker; must be picklable
SECONDS_BETWEEN_LOOKS = 2.0  # of drivers at their clusters


class Engine(Protocol):
    """Interface of engines, which call a function for each manifest, in any order and in any processes.

    Results are the files that the function writes. A call that was lost with its worker may be repeated.
    """

    @property
    def name(self) -> str:
        """Name in messages."""

    def map(self, function: Callable[[str], Receipt | None], manifests: Sequence[str]) -> None:
        """Call a picklable function for each manifest, and wait for the end.

        Args:
            function: Takes the path or URL of a manifest; its result need not come back.
            manifests: Paths or URLs.

        Raises:
            MRNNError: The engine cannot be used; one sentence.
            Exception: Whatever the library of the engine raises, also for errors of `function`.
        """

    def cores_per_process(self) -> int:
        """Return the number of cores that a call of the function can use, as far as the driver knows."""


@dataclass(frozen=True)
class Sharding:
    """Division of a stage's work into shards, and the engine that computes them.

    Attributes:
        engine: Computes the shards.
        count: Maximum number of shards.
        directory: Path or URL of the directory of the shards.
        inputs: Path or URL of a directory for copies of the files that workers read; empty if workers see the driver's.
        progress: Called with a fraction and a message.
    """

    engine: Engine
    count: int
    directory: str
    inputs: str = ""
    progress: Callable[[float, str], None] = lambda fraction, message: None

    def share(self, directory: Path, names: Sequence[str]) -> InputFiles:
        """Return files for workers to read, which are copied first if workers do not see them; see `copy_inputs`."""
        return copy_inputs(directory, names, self.inputs) if self.inputs else InputFiles(str(directory))

    def complete(self, shards: Sequence[Shard], work: Work) -> None:
        """Compute the shards that are not complete; see `complete_shards`."""
        complete_shards(shards, work, self.engine, self.progress)


@dataclass(frozen=True)
class ProcessShard:
    """Function of workers, which computes the shard of a manifest like the driver.

    Attributes:
        work: Computes the shard's file.
        versions: Versions of the driver's packages.
        storage_options: Options of the driver's storage.
    """

    work: Work
    versions: Mapping[str, str] = field(default_factory=versions)
    storage_options: storage.Options = field(default_factory=storage.configured)

    def __call__(self, manifest: str) -> Receipt | None:
        """Process one shard and return its receipt; a typed error is written next to it, as engines wrap exceptions."""
        storage.configure(self.storage_options)
        shard = shard_of(manifest)
        try:
            refuse_other_versions(self.versions)
            return self.work(shard)
        except MRNNError as error:
            write_error(shard, error)
            return None


def available_cores() -> int:
    """Return the number of cores of this process; a container or `taskset` can allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def complete_shards(
    shards: Sequence[Shard], work: Work, engine: Engine, progress: Callable[[float, str], None]
) -> None:
    """Process all incomplete shards, and retry those that fail as long as others are completed.

    Args:
        shards: All shards, whose manifests are written.
        work: Computes a shard's file; must be picklable.
        engine: Calls `work` for the missing shards.
        progress: Called with a fraction and a message.

    Raises:
        MRNNError: `work` raised it on a shard.
        RunnerError: The engine is unreachable or fails, or computes nothing itself; completed shards are kept.
        ArtifactError: Shards are missing although the engine succeeded.
    """
    missing = incomplete_shards(shards)
    while missing:
        clear_shards(missing)
        failure: Exception | None = None
        try:
            with _watched(shards, progress):
                engine.map(ProcessShard(work), [shard.manifest_path for shard in missing])
        except Exception as error:  # engines raise arbitrary exceptions
            failure = error
        raise_worker_error(missing)
        if isinstance(failure, MRNNError):
            raise failure
        left = incomplete_shards(missing)
        if len(left) == len(missing):
            if failure is None:
                raise ArtifactError(
                    f"Shard {left[0].path} (of {len(left)}) is missing although {engine.name} succeeded; its workers "
                    "must be able to write there, and the driver to read there."
                )
            reason = (str(failure).strip() or type(failure).__name__).splitlines()[-1]
            raise RunnerError(
                f"{engine.name} failed ({reason}); check [engine] and its section. Complete shards are kept."
            ) from failure
        missing = left


@contextmanager
def _watched(shards: Sequence[Shard], progress: Callable[[float, str], None]) -> Iterator[None]:
    """Report the number of images in finished shards from a thread while the block runs."""
    total = sum(shard.count for shard in shards)
    stop = threading.Event()

    def report() -> None:
        started, at_start = time.monotonic(), None
        while not stop.wait(SECONDS_BETWEEN_LOOKS):
            try:
                files = list_files(shards)
            except OSError:  # the work itself will raise it, if it lasts
                continue
            done = sum(shard.count for shard in shards if shard.receipt_path in files)
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
