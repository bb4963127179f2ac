"""Execution of a stage: under a lock, in a fresh process that reports progress, completed by its provenance."""

import logging
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tqdm import tqdm

from schemas.errors import MRNNError
from schemas.io.files import digest_files, write_json
from schemas.io.packages import COMPUTING, versions
from schemas.provenance import Provenance, Upstream, is_complete, list_files, load_verified, write_provenance
from tasks.runtime.errors import describe_exit, explain
from tasks.runtime.forkserver import stage_process
from tasks.runtime.job import Job, StatusPage
from tasks.runtime.locks import LockedError, artifact_lock
from tasks.runtime.progress import ProgressDisplay
from tasks.runtime.workspace import NOTE, SCRATCH

log = logging.getLogger("tasks")


class StageFailed(MRNNError):
    """A stage failed; the message names the stage, the reason and its log file."""


def execute(job: Job, status: StatusPage | None = None) -> None:
    """Compute the artifact of a job, unless another process completes it first.

    Args:
        job: The stage to execute.
        status: Its entry on a status page, if there is one.

    Raises:
        StageFailed: The stage's process failed, an input is damaged, or the disk cannot be used.
    """
    _end_with_luigi()
    try:
        with _locked(job) as lock:
            if is_complete(job.directory):
                log.info("%s was made by another process", job)
            else:
                _make(job, status, lock)
    except KeyboardInterrupt:
        if multiprocessing.parent_process() is None:
            raise
        os._exit(1)  # Luigi's main process reports the interrupt
    except (MRNNError, OSError, MemoryError) as error:
        sentence = explain(error, job)
        if sentence is None or isinstance(error, StageFailed):
            raise
        raise StageFailed(f"{job}: {sentence}") from error


def assist(job: Job, name: str, status: StatusPage | None = None) -> None:
    """Train together with the chief worker that writes the artifact of a job, and wait until it is complete.

    Args:
        job: The stage to execute.
        name: Name of this worker, such as `worker-1`.
        status: The stage's entry on a status page, if there is one.

    Raises:
        StageFailed: This worker or the chief worker failed.
    """
    _end_with_luigi()
    log.info("%s: started as %s", job, name)
    job.directory.mkdir(parents=True, exist_ok=True)
    run_process(job, job.directory.with_name(f"{job.key}.{name}.log"), status=status)
    with _locked(job):
        if not is_complete(job.directory):
            raise StageFailed(f"{job}: the chief worker failed; see its log, then restart all workers.")


def _end_with_luigi() -> None:
    """End this process, if it is one of several of Luigi's, when Luigi's main process ends."""
    luigi_process = multiprocessing.parent_process()
    if luigi_process is not None:
        threading.Thread(target=_exit_after, args=[luigi_process], daemon=True).start()


def _exit_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)  # this ends the stage's process too


@contextmanager
def _locked(job: Job) -> Iterator[int]:
    job.directory.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(artifact_lock(job.directory, wait=False))
        except LockedError:
            log.info("%s is being computed by another process; waiting for it", job)
            lock = stack.enter_context(artifact_lock(job.directory))
        yield lock


def _make(job: Job, status: StatusPage | None, lock: int) -> None:
    log.info("%s: started", job)
    started, clock = datetime.now(UTC).astimezone(), time.monotonic()
    upstream = {name: _upstream(directory, name not in job.keyed_by_content) for name, directory in job.inputs.items()}
    job.directory.mkdir(exist_ok=True)
    for leftover in job.directory.rglob(".*.tmp*"):  # of an interrupted run
        leftover.unlink()
    write_json(job.directory / SCRATCH / NOTE, {"upstream": [each.key for each in upstream.values()]})
    outcome = run_process(job, job.log_path, lock, status)
    seconds = time.monotonic() - clock
    files = list_files(job.directory, job.content, outcome["digests"])
    write_provenance(
        job.directory,
        Provenance(
            key=job.key,
            stage=job.name,
            version=job.version,
            dataset=job.dataset,
            parameters=job.parameters,
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
            operational=job.operational,
            beside=list_files(job.directory, job.volatile_files),
        ),
    )
    remove_scratch(job.directory)
    log.info("%s: done in %.1f s", job, seconds)
    if status:
        status.show(100, f"in {job.directory.resolve()}")
        if job.page:
            status.link(job.directory / job.page)


def _upstream(directory: Path, in_key: bool) -> Upstream:
    made = load_verified(directory)
    return Upstream(made.stage, made.key, made.digest, in_key)


def remove_scratch(directory: Path) -> None:
    """Remove from a complete artifact what only a resumed run would need."""
    shutil.rmtree(directory / SCRATCH, ignore_errors=True)


def run_process(job: Job, log_path: Path, lock: int | None = None, status: StatusPage | None = None) -> dict[str, Any]:
    """Do the work of a job in a process of its own.

    Args:
        job: The stage to execute.
        log_path: File that the output of the process is appended to.
        lock: File descriptor of the artifact's lock. The process holds it too, so that the lock is free only when both
            processes have ended.
        status: The stage's entry on a status page, if there is one.

    Returns:
        The last report of the process: counts, digests, peak_memory_bytes, gpus.

    Raises:
        StageFailed: The process reported an error or ended without a report.
    """
    report: dict[str, Any] = {}
    with (
        _output(job, log_path) as output,
        ProgressDisplay(job, status) as display,
        stage_process(job, output, lock) as process,
    ):
        for report in process.reports():
            if "fraction" in report:
                display.report(report["fraction"], report["message"])
        exit_status = process.wait()
    if "error" in report:
        raise StageFailed(f"{job}: {report['error']}")
    if "counts" not in report:
        raise StageFailed(f"{job}: {describe_exit(exit_status, job)}; see {log_path}.")
    return report


@contextmanager
def _output(job: Job, log_path: Path) -> Iterator[int]:
    """Yield the file descriptor that the stage's process writes its output to."""
    with open(log_path, "ab") as log_file:
        if not job.verbose:
            yield log_file.fileno()
            return
        read_end, write_end = os.pipe()
        copy = threading.Thread(target=_copy_output, args=[read_end, log_path], daemon=True)
        copy.start()
        try:
            yield write_end
        finally:
            os.close(write_end)
            copy.join()


def _copy_output(read_end: int, log_path: Path) -> None:
    """Copy lines to the log and to the terminal."""
    with open(read_end, "rb") as output, open(log_path, "ab") as log_file:
        for line in output:
            log_file.write(line)
            log_file.flush()
            tqdm.write(line.decode("utf-8", "replace"), file=sys.stderr, end="")


def _git() -> dict[str, Any] | None:
    """Return the revision of the checkout that this code runs from, and whether it was changed since."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {"revision": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None
