"""The `dask` program in a forked process; this module imports little, for its processes import it."""

import os
import sys
import tempfile
from pathlib import Path


def run_dask(arguments: tuple[str, ...], directory: Path, log: Path) -> None:
    """Run `dask ARGUMENTS` in a directory, with its output at the end of a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.chdir(directory)
    # What a program that starts from nothing reads in the environment.
    sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
    tempfile.tempdir = None
    sys.argv = ["dask", *arguments]

    from dask.__main__ import main  # reads its configuration in the environment

    main()
