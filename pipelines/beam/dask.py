"""Bounded waiting for a Dask cluster whose workers are missing or unreachable."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from apache_beam.options.pipeline_options import PipelineOptions

from schemas.errors import RunnerError

if TYPE_CHECKING:  # the extra `dask` may be missing
    from apache_beam.runners.dask.dask_runner import DaskRunnerResult

SECONDS_WITHOUT_WORKERS = 60
_SECONDS_BETWEEN_LOOKS = 2.0


def wait_for_cluster(result: "DaskRunnerResult", options: PipelineOptions, is_done: Callable[[], bool]) -> None:
    """Wait for the end of a run, or until `is_done`, then leave the cluster.

    The results that Dask keeps are not fetched, because fetching them from an unreachable worker never ends. The run
    is abandoned when the cluster has had no worker for `--dask_connection_timeout` seconds (60 by default).

    Args:
        result: Result of the pipeline.
        options: Options of the pipeline.
        is_done: Returns whether all shards are finished.

    Raises:
        RunnerError: There are no workers.
        Exception: A worker or Dask raised it.
    """
    from apache_beam.runners.dask.dask_runner import DaskOptions
    from distributed import wait

    given = options.view_as(DaskOptions).timeout
    patience = given if isinstance(given, int) else SECONDS_WITHOUT_WORKERS
    address, seen = result.client.scheduler.address, time.monotonic()
    try:
        while not (all(future.done() for future in result.futures) or is_done()):
            with suppress(TimeoutError):
                wait(result.futures, timeout=_SECONDS_BETWEEN_LOOKS)  # type: ignore[no-untyped-call]
            if result.client.scheduler_info()["workers"]:
                seen = time.monotonic()
            elif time.monotonic() - seen > patience:
                raise RunnerError(
                    f"Dask's scheduler at {address} has had no worker for {patience} s; start some (dask worker "
                    f"{address}), or raise --dask_connection_timeout in [beam] options. Complete shards are kept."
                )
        for future in result.futures:
            if future.done() and (error := future.exception()):
                raise error
    finally:
        result.client.close()
