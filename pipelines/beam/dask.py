"""Waiting for a Dask cluster, but not without end for workers that never come or cannot be reached, as Dask would."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from apache_beam.options.pipeline_options import PipelineOptions

from schemas.errors import RunnerError

if TYPE_CHECKING:  # the extra `dask` may not be there
    from apache_beam.runners.dask.dask_runner import DaskRunnerResult

SECONDS_WITHOUT_WORKERS = 60
_SECONDS_BETWEEN_LOOKS = 2.0


def wait_for_cluster(result: "DaskRunnerResult", options: PipelineOptions, is_done: Callable[[], bool]) -> None:
    """Waits for the end of a run, or until `is_done`, then leaves the cluster.

    The results that Dask keeps are not asked for: of a worker that nobody can reach it would ask for them for ever. The
    run is given up when the cluster has had no worker for `--dask_connection_timeout` seconds, or else 60; whether none
    came or all went.

    Raises:
        RunnerError: there are no workers.
        Exception: what a worker, or Dask, raised.
    """
    from apache_beam.runners.dask.dask_runner import DaskOptions
    from distributed import wait

    given = options.view_as(DaskOptions).timeout
    patience = given if isinstance(given, int) else SECONDS_WITHOUT_WORKERS
    address, seen = result.client.scheduler.address, time.monotonic()
    try:
        while not (all(future.done() for future in result.futures) or is_done()):
            with suppress(TimeoutError):
                wait(result.futures, timeout=_SECONDS_BETWEEN_LOOKS)
            if result.client.scheduler_info()["workers"]:
                seen = time.monotonic()
            elif time.monotonic() - seen > patience:
                raise RunnerError(
                    f"Dask's scheduler at {address} has had no worker for {patience} s; start some (dask worker "
                    f"{address}), or have it waited for longer by --dask_connection_timeout in [beam] options. Shards "
                    "that are done are kept."
                )
        for future in result.futures:
            if future.done() and (error := future.exception()):
                raise error
    finally:
        result.client.close()
