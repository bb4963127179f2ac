"""Check that a reader reads a corrupted file or refuses it in one sentence, in bounded time and memory."""

import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from schemas.errors import MRNNError

SECONDS = 10
MEMORY_BYTES = 1 << 30
LONGEST_SENTENCE = 2_000  # characters
_CHANGES = frozenset({"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod"})
_NEVER = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "pty.spawn"})
_watched: Path | None = None  # where changes are allowed; None: nobody watches
_offences: list[str] = []


def check(read: Any, path: Path, data_directory: Path) -> MRNNError | None:
    """Call `read(path, data_directory)` and return its typed error, if it raised one.

    Fails if it raises another error, if the message is longer than a sentence, if it takes more than 10 s, or if it
    changes files elsewhere.
    """
    with _watching(data_directory), _in_time():
        try:
            read(path, data_directory)
        except MRNNError as error:
            refusal = error
        else:
            return None
    text = str(refusal)
    assert text.strip(), "the error has no message"
    assert "\n" not in text, f"more than a line: {text!r}"
    assert len(text) <= LONGEST_SENTENCE, f"no sentence: {text[:300]!r}..."
    return refusal


@contextmanager
def limited_memory() -> Iterator[None]:
    """Limit the address space to 1 GiB more than is used already."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _in_time() -> Iterator[None]:
    def hang(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"It hangs: {SECONDS} s are over.")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _watching(directory: Path) -> Iterator[None]:
    global _watched
    _offences.clear()
    _watched = directory.resolve()
    try:
        yield
    finally:
        _watched = None
    assert not _offences, f"it reached out: {_offences}"


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Record changes elsewhere; Python's audit events cannot be bypassed by Python code."""
    if _watched is None or threading.current_thread() is not threading.main_thread():
        return
    if event in _NEVER:
        _offences.append(f"{event} {arguments!r}")
    elif event in _CHANGES or (event == "open" and _writes(arguments)):
        paths = [each for each in arguments[:2] if isinstance(each, str | bytes)][: 2 if event == "os.rename" else 1]
        for each in paths:
            if not Path(os.path.realpath(os.fsdecode(each))).is_relative_to(_watched):
                _offences.append(f"{event} {each!r}")


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, _, flags = arguments
    return bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


sys.addaudithook(_audit)
