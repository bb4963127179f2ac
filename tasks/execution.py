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
from schemas.files import write_json
from schemas.provenance import (
    Provenance,
    Upstream,
    digest_files,
    list_files,
    read_sound,
    write_provenance,
)
from schemas.software import COMPUTING, versions
from tasks.faults import describe_exit, explain
from tasks.workspace import NOTE, SCRATCH

if TYPE_CHECKING:
    from tasks.stage import Stage

log = logging.getLogger("tasks")
SECONDS_BETWEEN_STATUS = 1.0  # messages to Luigi's scheduler
SECONDS_BETWEEN_LINES = 30.0  # progress lines where there is no terminal


class StageFailed(MRNNError):
    """A stage did not make its artifact; the message says which, why, and where its log is."""


def execute(task: "Stage") -> None:
    """Makes the artifact of `task`, unless another process makes it first.

    Raises:
        StageFailed: the stage's process ended without it, or what it reads is damaged, or the disk is of no use.
    """
    luigi_process = multiprocessing.parent_process()
    if luigi_process is not None:  # one of several workers: it must not outlive Luigi's own process
        threading.Thread(target=_exit_after, args=[luigi_process], daemon=True).start()
    try:
        with _locked(task) as lock:
            if task.complete():
                log.info("%s was made by another process", task)
            else:
                _make(task, lock)
    except (MRNNError, OSError, MemoryError) as error:
        sentence = explain(error, task)
        if sentence is None or isinstance(error, StageFailed):
            raise
        raise StageFailed(f"{task}: {sentence}") from error


def _exit_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)  # closes the pipe to the stage's process, which ends it too


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
    outcome = _run_process(task, lock)
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


def _upstream(task: "Stage") -> Upstream:
    return Upstream(task.stage, task.key, read_sound(task.directory).digest)


def remove_scratch(directory: Path) -> None:
    """Removes what only a resumed run would need, of an artifact that is complete."""
    shutil.rmtree(directory / SCRATCH, ignore_errors=True)


def _run_process(task: "Stage", lock: filelock.FileLock) -> dict[str, Any]:
    """Runs `tasks.stage_process` for the task; returns its last report."""
    held = lock._context.lock_file_fd  # an inherited lock is free only when both processes are gone
    assert held is not None
    log_path = task.directory.parent / f"{task.key}.log"
    read_end, write_end = os.pipe()
    job = {
        "module": task.task_module,
        "family": task.task_family,
        "parameters": task.to_str_params(),
        "directory": str(task.directory),
        "inputs": {name: str(required.directory) for name, required in task.requires().items()},
        "reports": write_end,
    }
    with open(log_path, "ab") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.stage_process"],
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end, held],
            start_new_session=True,  # so that all its children can be ended with it
            # A stage takes the GPU memory that it needs, not all: several may run at once.
            env={"TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true", **os.environ},
        )
    os.close(write_end)
    last: dict[str, Any] = {}
    try:
        assert process.stdin is not None
        # The pipe stays open: when this process dies, its end tells the stage's process to die too.
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        with open(read_end, encoding="utf-8") as reports:
            last = _follow(task, reports)
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


def _follow(task: "Stage", reports: IO[str]) -> dict[str, Any]:
    """Passes progress on to Luigi's page and to the terminal until the process has said its last; returns that."""
    report: dict[str, Any] = {}
    told = shown = time.monotonic()
    bar_format = "{desc} {percentage:3.0f}%|{bar:30}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=1.0, desc=task.stage, bar_format=bar_format, disable=None, leave=False) as bar:
        for line in reports:
            report = json.loads(line)
            if "fraction" not in report:
                continue
            fraction, message = report["fraction"], report["message"]
            bar.n = fraction
            bar.set_postfix_str(message)
            now = time.monotonic()
            if now - told >= SECONDS_BETWEEN_STATUS and task.set_status_message:
                task.set_progress_percentage(round(100 * fraction))
                task.set_status_message(message)
                told = now
            if bar.disable and now - shown >= SECONDS_BETWEEN_LINES:
                log.info("%s: %3.0f %%, %s", task, 100 * fraction, message)
                shown = now
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
