"""How a stage is run: under a lock, in a fresh process that reports progress, completed by its provenance."""

import json
import logging
import multiprocessing
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import filelock
from tqdm import tqdm

from schemas.errors import MRNNError
from schemas.io.files import digest_files, write_json
from schemas.io.packages import COMPUTING, versions
from schemas.provenance import (
    Provenance,
    Upstream,
    list_files,
    load_verified,
    write_provenance,
)
from tasks.runtime.console import LoggingConfig
from tasks.runtime.errors import describe_exit, explain
from tasks.runtime.progress import ProgressDisplay
from tasks.runtime.workspace import NOTE, SCRATCH

if TYPE_CHECKING:
    from tasks.base.stage import Stage

log = logging.getLogger("tasks")


class StageFailed(MRNNError):
    """A stage did not make its artifact; the message says which, why, and where its log is."""


def execute(task: "Stage") -> None:
    """Makes the artifact of `task`, unless another process makes it first.

    Raises:
        StageFailed: the stage's process ended without it, or what it reads is damaged, or the disk is of no use.
    """
    _end_with_luigi()
    try:
        with _locked(task) as lock:
            if task.complete():
                log.info("%s was made by another process", task)
            else:
                _make(task, lock)
    except KeyboardInterrupt:
        if multiprocessing.parent_process() is None:
            raise
        os._exit(1)  # Luigi's own process says what is to be said
    except (MRNNError, OSError, MemoryError) as error:
        sentence = explain(error, task)
        if sentence is None or isinstance(error, StageFailed):
            raise
        raise StageFailed(f"{task}: {sentence}") from error


def assist(task: "Stage", name: str) -> None:
    """Works on the artifact of `task` beside the host that makes it, then waits until that is done.

    Raises:
        StageFailed: one of the two came to no end.
    """
    _end_with_luigi()
    log.info("%s: started as %s", task, name)
    task.directory.mkdir(parents=True, exist_ok=True)
    run_process(task, task.directory.with_name(f"{task.key}.{name}.log"))
    with _locked(task):
        if not task.complete():
            raise StageFailed(f"{task}: the host that leads did not make it; see its log and start all hosts again.")


def _end_with_luigi() -> None:
    """One of several workers of Luigi must not outlive Luigi's own process."""
    luigi_process = multiprocessing.parent_process()
    if luigi_process is not None:
        threading.Thread(target=_exit_after, args=[luigi_process], daemon=True).start()


def _exit_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)  # closes the pipe to the stage's process, which ends it too


def is_locked(directory: Path) -> bool:
    """Whether another process holds the artifact's lock."""
    lock = artifact_lock(directory)
    if not Path(lock.lock_file).exists():
        return False
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return True
    lock.release()
    return False


def artifact_lock(directory: Path) -> filelock.FileLock:
    """The lock of an artifact, held while it is made or removed."""
    return filelock.FileLock(directory.with_name(f".{directory.name}.lock"))


@contextmanager
def _locked(task: "Stage") -> Iterator[filelock.FileLock]:
    """Holds the lock of the task's key, on this machine and on a shared disk; a dead holder's lock is free."""
    task.directory.parent.mkdir(parents=True, exist_ok=True)
    lock = artifact_lock(task.directory)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        log.info("%s is being made by another process; waiting for it", task)
        lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


def _make(task: "Stage", lock: filelock.FileLock) -> None:
    log.info("%s: started", task)
    started, clock = datetime.now(UTC).astimezone(), time.monotonic()
    upstream = {name: _upstream(required) for name, required in task.requires().items()}
    task.directory.mkdir(exist_ok=True)
    for leftover in task.directory.rglob(".*.tmp*"):  # of an interrupted run
        leftover.unlink()
    write_json(task.directory / SCRATCH / NOTE, {"upstream": [each.key for each in upstream.values()]})
    outcome = run_process(task, task.log_path, lock)
    seconds = time.monotonic() - clock
    files = list_files(task.directory, task.content)
    write_provenance(
        task.directory,
        Provenance(
            key=task.key,
            stage=task.stage,
            version=task.version,
            dataset=task.dataset,
            parameters=task.parameters(significant=True),
            upstream=upstream,
            digest=digest_files(files),
            files=files,
            software={"python": platform.python_version(), **versions((*COMPUTING, "luigi", "nltk"))},
            git=_git(),
            host={"machine": platform.machine(), "cpus": os.cpu_count(), "gpus": outcome["gpus"]},
            started=started.isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            peak_memory_bytes=outcome["peak_memory_bytes"],
            counts=outcome["counts"],
            operational=task.parameters(significant=False),
            beside=list_files(task.directory, task.beside),
        ),
    )
    remove_scratch(task.directory)
    log.info("%s: done in %.1f s", task, seconds)
    _publish_status(task)


def _publish_status(task: "Stage") -> None:
    """On Luigi's status page: where the artifact is, and a link to what of it a browser shows."""
    if task.set_status_message:
        task.set_progress_percentage(100)
        task.set_status_message(f"in {task.directory.resolve()}")
    if task.page and task.set_tracking_url:
        task.set_tracking_url((task.directory / task.page).resolve().as_uri())


def _upstream(task: "Stage") -> Upstream:
    return Upstream(task.stage, task.key, load_verified(task.directory).digest)


def remove_scratch(directory: Path) -> None:
    """Removes what only a resumed run would need, of an artifact that is complete."""
    shutil.rmtree(directory / SCRATCH, ignore_errors=True)


def run_process(task: "Stage", log_path: Path, lock: filelock.FileLock | None = None) -> dict[str, Any]:
    """Has the task work in `task.directory`, in a process of its own; returns its last report.

    What it and its libraries say goes to `log_path`. It holds `lock` too, so that this is free only when
    both processes are gone.

    Raises:
        StageFailed: it says why it could not, or ends without a word.
    """
    # filelock tells its descriptor in no other way.
    held = [descriptor] if lock and (descriptor := lock._context.lock_file_fd) is not None else []
    verbose = LoggingConfig().verbose
    read_end, write_end = os.pipe()
    job = {
        "module": task.task_module,
        "family": task.task_family,
        "parameters": task.to_str_params(),
        "directory": str(task.directory),
        "inputs": {name: str(required.directory) for name, required in task.requires().items()},
        "reports": write_end,
        "verbose": verbose,
    }
    quiet = {} if verbose else {"TF_CPP_MIN_LOG_LEVEL": "2"}
    with open(log_path, "ab") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.runtime.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if verbose else log_file,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end, *held],
            start_new_session=True,  # so that all its children can be ended with it
            # A stage takes the GPU memory that it needs, not all: several may run at once.
            env={**quiet, "TF_FORCE_GPU_ALLOW_GROWTH": "true", **os.environ},
        )
    os.close(write_end)
    if process.stdout:
        threading.Thread(target=_copy_output, args=[process.stdout, log_path], daemon=True).start()
    last: dict[str, Any] = {}
    try:
        assert process.stdin is not None
        # The pipe stays open: when this process dies, its end tells the stage's process to die too.
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        with open(read_end, encoding="utf-8") as reports:
            last = _relay_progress(task, reports)
        process.wait()
    except BrokenPipeError:
        process.wait()
    finally:
        _end_group(process)
    if "error" in last:
        raise StageFailed(f"{task}: {last['error']}")
    if "counts" not in last:
        raise StageFailed(f"{task}: {describe_exit(process.returncode, task)}; see {log_path}.")
    return last


def _copy_output(output: IO[bytes], log_path: Path) -> None:
    """To the terminal and to the log, line by line."""
    with open(log_path, "ab") as log_file:
        for line in output:
            log_file.write(line)
            log_file.flush()
            tqdm.write(line.decode("utf-8", "replace"), file=sys.stderr, end="")


def _relay_progress(task: "Stage", reports: IO[str]) -> dict[str, Any]:
    """Shows how far the process is until it has said its last; returns that."""
    report: dict[str, Any] = {}
    with ProgressDisplay(task) as display:
        for line in reports:
            report = json.loads(line)
            if "fraction" in report:
                display.report(report["fraction"], report["message"])
    return report


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _git() -> dict[str, Any] | None:
    """Revision of the checkout that this code runs from, and whether it was changed since."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {"revision": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None
