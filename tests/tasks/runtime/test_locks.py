"""The lock of an artifact."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.runtime.locks import LockedError, artifact_lock, is_locked


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "0123456789"


def test_artifact_lock_excludes_other_holders(directory):
    with artifact_lock(directory):
        assert is_locked(directory)
        with (
            pytest.raises(LockedError, match="0123456789 is in use by another process"),
            artifact_lock(directory, False),
        ):
            pass
    assert not is_locked(directory)


def test_is_locked_creates_no_file(directory):
    assert not is_locked(directory)
    assert not list(directory.parent.iterdir())


def test_artifact_lock_is_held_until_all_processes_have_closed_it(directory):
    with artifact_lock(directory) as descriptor:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    assert is_locked(directory)
    child.communicate()
    assert not is_locked(directory)


def test_artifact_lock_of_a_killed_process_is_free(directory):
    script = """
import sys, time
from pathlib import Path
from tasks.runtime.locks import artifact_lock
with artifact_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(directory)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    assert is_locked(directory)
    holder.kill()
    holder.wait()
    assert not is_locked(directory)


def test_errors_within_the_lock_pass_through(directory):
    with pytest.raises(BlockingIOError, match="of the caller"), artifact_lock(directory):
        raise BlockingIOError("of the caller")
    assert not is_locked(directory)
