"""Dask: a cluster of its workers."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipelines.engines.engine import SECONDS_BETWEEN_LOOKS, available_cores
from pipelines.engines.shards import Receipt
from schemas.errors import ConfigurationError, RunnerError


@dataclass(frozen=True)
class DaskEngine:
    """A Dask cluster.

    Attributes:
        scheduler: Address of its scheduler, such as `tcp://host:8786`.
        timeout: Seconds without a scheduler, or without any worker, after which the run is abandoned.
    """

    scheduler: str
    timeout: float = 60.0

    @property
    def name(self) -> str:
        """Name of the cluster."""
        return f"Dask cluster {self.scheduler}"

    def map(self, function: Callable[[str], Receipt | None], manifests: Sequence[str]) -> None:
        """Submit a task per manifest. Their results are not fetched: workers need not be reachable from here.

        Raises:
            ConfigurationError: Dask is not installed, or there is no address of a scheduler.
            RunnerError: There are no workers.
            Exception: A worker or Dask raised it.
        """
        if not self.scheduler:
            raise ConfigurationError("The engine dask needs the address of a scheduler; set [dask] scheduler.")
        try:
            from distributed import Client, wait
        except ImportError as error:
            raise ConfigurationError(f"Dask is not installed ({error}); install the extra `dask`.") from error
        with Client(self.scheduler, timeout=self.timeout) as client:
            futures = client.map(function, manifests, pure=False)
            seen = time.monotonic()
            while not all(future.done() for future in futures):
                with suppress(TimeoutError):
                    wait(futures, timeout=SECONDS_BETWEEN_LOOKS)
                if client.scheduler_info()["workers"]:
                    seen = time.monotonic()
                elif time.monotonic() - seen > self.timeout:
                    raise RunnerError(
                        f"Dask's scheduler at {self.scheduler} has had no worker for {self.timeout:.0f} s; start some "
                        f"(dask worker {self.scheduler}), or wait for longer by [engine] timeout. Complete shards "
                        "are kept."
                    )
            for future in futures:
                if future.status != "finished":
                    raise future.exception()

    def cores_per_process(self) -> int:
        """Return the number of this machine's cores; those of workers are unknown, so set the thread counts."""
        return available_cores()
