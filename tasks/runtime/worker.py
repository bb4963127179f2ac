"""The process in which a stage works: `python -m tasks.runtime.worker`, started by `tasks.runtime.executor`.

It reads its job as one JSON line from standard input, writes reports as JSON lines to the file descriptor that the job
names, and dies when standard input ends, for then the process that started it is gone.
"""

import importlib
import json
import logging
import os
import re
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import luigi.task_register

from tasks.base.stage import Stage
from tasks.runtime.errors import explain
from tasks.runtime.workspace import Workspace

SECONDS_BETWEEN_REPORTS = 0.2


def main() -> int:
    """Does the job; returns the exit status."""
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    level = logging.INFO if job["verbose"] else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with open(job["reports"], "w", encoding="utf-8", buffering=1) as reports:
        importlib.import_module(job["module"])  # registers the stage
        stage: Stage = luigi.task_register.Register.get_task_cls(job["family"]).from_str_params(job["parameters"])
        inputs = {name: Path(directory) for name, directory in job["inputs"].items()}
        workspace = Workspace(Path(job["directory"]), inputs, _reporter(reports))
        try:
            stage.work(workspace)
        except Exception as error:
            sentence = explain(error, stage)
            if sentence is None:
                raise
            _report(reports, {"error": sentence})
            with suppress(OSError):  # the log may be on the full disk too
                traceback.print_exc()
            os._exit(1)  # HDF5 crashes when it tidies up files that it could not write
        _report(reports, {"counts": workspace.counts, "peak_memory_bytes": _peak_memory(), "gpus": _gpus()})
    return 0


def _reporter(reports: Any) -> Callable[[float, str], None]:
    last, activity = 0.0, ""

    def progress(fraction: float, message: str) -> None:
        nonlocal last, activity
        words = re.sub(r"[0-9]", "", message)  # numbers go on, words say that something else is done
        if words != activity or time.monotonic() - last >= SECONDS_BETWEEN_REPORTS:
            last, activity = time.monotonic(), words
            _report(reports, {"fraction": fraction, "message": message})

    return progress


def _report(reports: Any, value: dict[str, Any]) -> None:
    reports.write(json.dumps(value) + "\n")


def _exit_with_parent() -> None:
    # Not sys.stdin, whose lock, held in a daemon thread, would break the interpreter's end.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)


def _peak_memory() -> int:
    """Bytes of the largest process among this one and its ended children."""
    usages = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(usages) * (1 if sys.platform == "darwin" else 1024)


def _gpus() -> list[str]:
    """Names of the GPUs, if this stage used TensorFlow."""
    if "tensorflow" not in sys.modules:
        return []
    import tensorflow as tf

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return [each.get("device_name", "GPU") for each in details]


if __name__ == "__main__":
    sys.exit(main())
