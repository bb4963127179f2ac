"""Locks that prevent two processes from computing or removing the same artifact.

The operating system releases a lock when the last process that holds it ends, so that no lock outlives a crash.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import MRNNError


class LockedError(MRNNError):
    """Another process holds the lock of an artifact."""


def lock_path(directory: Path) -> Path:
    """Return the lock file of the artifact in `directory`."""
    return directory.with_name(f".{directory.name}.lock")


@contextmanager
def artifact_lock(directory: Path, wait: bool = True) -> Iterator[int]:
    """Hold the lock of the artifact in `directory`, which is held while the artifact is computed or removed.

    The lock also works between hosts that share the file system. The yielded file descriptor can be passed to another
    process: the lock is then held until both processes have closed it.

    Args:
        directory: Directory of the artifact; its parent directory must exist.
        wait: Whether to wait for another holder.

    Yields:
        The file descriptor that holds the lock.

    Raises:
        LockedError: Another process holds the lock and `wait` is false.
    """
    descriptor = os.open(lock_path(directory), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise LockedError(f"{directory} is in use by another process; wait for it or end it.") from error
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(directory: Path) -> bool:
    """Return whether a process holds the lock of the artifact in `directory`."""
    if not lock_path(directory).exists():
        return False
    try:
        with artifact_lock(directory, wait=False):
            return False
    except LockedError:
        return True
