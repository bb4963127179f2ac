"""The work of a stage, in the process that was forked for it."""

import importlib
import logging
import os
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from multiprocessing.connection import Connection
from typing import Any

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register

from tasks.runtime.errors import explain
from tasks.runtime.job import Job
from tasks.runtime.workspace import Workspace

SECONDS_BETWEEN_REPORTS = 0.2


def work(job: Job, reports: Connection) -> None:
    """Do the work of a stage.

    Args:
        job: The stage.
        reports: Receives {"fraction", "message"} while the stage works, and {"error"} or {"counts", "digests",
            "peak_memory_bytes", "gpus"} at its end.
    """
    level = logging.INFO if job.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    workspace = Workspace(job.directory, job.inputs, _reporter(reports))
    try:
        importlib.import_module("tasks.stages").load_stages()  # their parameters are on the command line
        importlib.import_module(job.module)  # registers the stage if it is another one
        # Stages that this one creates have the parameters that configuration and command line set for them, as they
        # were when the key was computed.
        configuration = luigi.configuration.get_config()
        configuration.clear()
        configuration.read_dict(job.configuration)
        command_line = job.command_line
        with nullcontext() if command_line is None else CmdlineParser.global_instance(list(command_line)):
            Register.get_task_cls(job.family).from_str_params(job.arguments).work(workspace)
    except Exception as error:
        sentence = explain(error, job)
        if sentence is None:
            raise
        reports.send({"error": sentence})
        with suppress(OSError):  # the log may be on the full disk too
            traceback.print_exc()
        os._exit(1)  # HDF5 crashes when it closes files that it could not write
    reports.send(
        {
            "counts": workspace.counts,
            "digests": workspace.digests,
            "peak_memory_bytes": _peak_memory(),
            "gpus": _gpus(),
        }
    )


def _reporter(reports: Connection) -> Callable[[float, str], None]:
    last, activity = 0.0, ""

    def progress(fraction: float, message: str) -> None:
        nonlocal last, activity
        words = re.sub(r"[0-9]", "", message)  # other words mean another activity, other numbers do not
        if words != activity or time.monotonic() - last >= SECONDS_BETWEEN_REPORTS:
            last, activity = time.monotonic(), words
            reports.send({"fraction": fraction, "message": message})

    return progress


def _peak_memory() -> int:
    """Return the bytes of the largest process among this one and its ended children."""
    usages = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(usages) * (1 if sys.platform == "darwin" else 1024)


def _gpus() -> list[str]:
    """Return the names of the GPUs, if this stage used TensorFlow."""
    tf: Any = sys.modules.get("tensorflow")
    if tf is None:
        return []
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return [each.get("device_name", "GPU") for each in details]
