"""Warm processes: a server imports libraries once and forks a fresh process for every stage.

Importing TensorFlow takes seconds, forking a process that has imported it a fraction of a second. The server only
imports; it never computes, so that no thread pool and no device exists when it forks. `multiprocessing` has such a
server too, but the processes of `luigi --workers 2` cannot share it: it must be used by the process that started it.

A server ends when all processes that can send it requests have ended, and a stage's process ends with the process that
requested it.
"""

import atexit
import gc
import importlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tasks.runtime.job import Job
from tasks.runtime.worker import work

DEVICES = Path("/dev")
MAX_DESCRIPTORS = 4  # of a request: control, reports, output and, if there is one, the lock


@dataclass(frozen=True)
class Request:
    """A job and the surroundings in which it was requested.

    Attributes:
        job: The stage to work on.
        environment: Environment variables.
        directory: Working directory.
    """

    job: Job
    environment: dict[str, str]
    directory: str


class StageProcess:
    """The process in which a stage works, as seen by the process that requested it."""

    def __init__(self, control: Connection, reports: Connection):
        """Take over the ends of the two connections."""
        self._control = control
        self._reports = reports

    def reports(self) -> Iterator[dict[str, Any]]:
        """Yield the reports of the stage's process until it ends."""
        with suppress(EOFError, OSError):  # OSError: it was killed in the middle of a report
            while True:
                yield self._reports.recv()

    def wait(self) -> int | None:
        """Wait for the end of the process.

        Returns:
            The exit status, or the negative number of the signal that ended the process; None if it is unknown because
            the server has ended too.
        """
        with suppress(EOFError, OSError):
            status: int = self._control.recv()
            return status
        return None

    def kill(self) -> None:
        """Kill the process and its children if they are still there."""
        with suppress(OSError):
            self._control.send(None)
        self.wait()


class ForkServer:
    """A process that has imported modules and forks itself on request."""

    def __init__(self, modules: Sequence[str], verbose: bool):
        """Start the server.

        Args:
            modules: Modules to import before the first fork.
            verbose: Whether to show what these print while they are imported.
        """
        self._requests, theirs = socket.socketpair()
        output = None if verbose else subprocess.DEVNULL
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tasks.runtime.forkserver", str(theirs.fileno()), *modules],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches only the process that requests stages
                env=stage_environment(verbose),
            )

    def send(self, descriptors: Sequence[int]) -> None:
        """Request a process that inherits these file descriptors.

        Raises:
            BrokenPipeError: The server has ended.
        """
        socket.send_fds(self._requests, [b"\0"], descriptors)

    def stop(self) -> None:
        """Kill the server; the processes that it forked end with it."""
        self._requests.close()
        self._process.kill()
        self._process.wait()


_servers: dict[tuple[str, ...], ForkServer] = {}
_lock = threading.Lock()


def prepare(modules: tuple[str, ...], verbose: bool) -> None:
    """Start to import modules in the background, for stages that will be forked later from this process or its forks.

    Args:
        modules: The stages' `preload`.
        verbose: Whether to show what the modules print while they are imported.
    """
    with _lock:
        if not _servers:
            atexit.register(stop_servers)
        modules = modules if can_preload() else ()
        if modules not in _servers:
            _servers[modules] = ForkServer(modules, verbose)


@contextmanager
def stage_process(job: Job, output: int, lock: int | None) -> Iterator[StageProcess]:
    """Fork a process that works on `job`; it is killed if the context ends with an exception.

    Args:
        job: The stage to work on.
        output: File descriptor that receives standard output and error.
        lock: File descriptor of a lock that the process holds too; None for none.

    Yields:
        The process.
    """
    control, their_control = multiprocessing.Pipe()
    reports, their_reports = multiprocessing.Pipe(duplex=False)
    with their_control, their_reports:
        descriptors = [their_control.fileno(), their_reports.fileno(), output, *([] if lock is None else [lock])]
        _send(job, descriptors)
    with suppress(BrokenPipeError):  # the end of the reports tells that the server has ended
        control.send(Request(job, stage_environment(job.verbose), str(Path.cwd())))
    with control, reports:
        process = StageProcess(control, reports)
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _send(job: Job, descriptors: Sequence[int]) -> None:
    """Send a request to the server with the job's modules, which is started again if it has been killed."""
    prepare(job.preload, job.verbose)
    modules = job.preload if can_preload() else ()
    try:
        _servers[modules].send(descriptors)
    except BrokenPipeError:
        with _lock:
            _servers.pop(modules).stop()
        prepare(job.preload, job.verbose)
        _servers[modules].send(descriptors)


def stop_servers() -> None:
    """Stop all servers of this process."""
    while _servers:
        _servers.popitem()[1].stop()


def can_preload() -> bool:
    """Return whether a process that has imported TensorFlow may be forked here.

    Elsewhere processes are forked before the import: on macOS, whose system libraries do not survive a fork, and where
    there is a GPU, so that no state of its driver is ever inherited.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return sys.platform == "linux" and (hidden or not any(DEVICES.glob("nvidia[0-9]*")))


def stage_environment(verbose: bool) -> dict[str, str]:
    """Return the environment variables of a stage's process."""
    quiet = {} if verbose else {"TF_CPP_MIN_LOG_LEVEL": "2"}
    return {
        **quiet,
        # A stage takes the GPU memory that it needs, not all: several may run at once.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        # TensorFlow uses oneDNN by default only on processors with AVX-512; with AVX2 its products are faster, too.
        "TF_ENABLE_ONEDNN_OPTS": "1",
        **os.environ,
    }


def serve(requests: socket.socket, modules: Sequence[str]) -> None:
    """Import modules, then fork a process for every request until nobody can send one any more.

    Args:
        requests: Socket that receives one byte and the file descriptors of each request.
        modules: Modules to import first; the stage itself reports those that cannot be imported.
    """
    gc.disable()  # imports leave no garbage and take a fifth longer when it is looked for
    for module in modules:
        with suppress(ImportError):
            importlib.import_module(module)
    gc.freeze()  # nor do the forked processes look at what is loaded
    gc.enable()
    running: dict[Connection, BaseProcess] = {}
    while True:
        sentinels = [process.sentinel for process in running.values()]
        ready = wait([requests, *running, *sentinels])
        for control, process in [*running.items()]:
            # It has ended, or the process that requested it wants it to end or has ended itself.
            if process.sentinel in ready or control in ready:
                del running[control]
                _end(process, control)
        if requests in ready:
            byte, descriptors, _, _ = socket.recv_fds(requests, 1, MAX_DESCRIPTORS)
            if not byte:
                break
            _fork(requests, descriptors, running)
    for control, process in running.items():
        _end(process, control)


def _fork(requests: socket.socket, descriptors: Sequence[int], running: dict[Connection, BaseProcess]) -> None:
    """Receive a request and fork its process."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    control = Connection(descriptors[0])
    try:
        request = control.recv()
    except EOFError:  # the process that requested it has ended
        control.close()
    else:
        others = [requests, control, *running]
        process = multiprocessing.get_context("fork").Process(target=_child, args=(request, descriptors[1:], others))
        process.start()
        running[control] = process
    for descriptor in descriptors[1:]:
        os.close(descriptor)


def _child(request: Request, descriptors: Sequence[int], others: Sequence[Connection | socket.socket]) -> None:
    """Work on a job in the forked process."""
    os.setsid()  # so that all its children can be killed with it
    for other in others:
        other.close()
    reports, output, *_ = descriptors
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.directory)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # as in a process that has just imported it
    threading.Thread(target=_end_with_server, daemon=True).start()
    work(request.job, Connection(reports, readable=False))


def _end_with_server() -> None:
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os.killpg(0, signal.SIGKILL)


def _end(process: BaseProcess, control: Connection) -> None:
    """Kill a process and its children, and tell its exit status to the process that requested it."""
    assert process.pid is not None
    for kill in (os.kill, os.killpg):  # its process group does not exist before `setsid`
        with suppress(ProcessLookupError):
            kill(process.pid, signal.SIGKILL)
    process.join()
    with suppress(OSError), control:
        control.send(process.exitcode)


if __name__ == "__main__":
    # Not the functions of this `__main__`: requests are pickled by the module's name.
    importlib.import_module("tasks.runtime.forkserver").serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
