"""The `mrnn` command in processes forked from one that has imported TensorFlow, in a fraction of its time of start."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["h5py", "keras", "nltk", "tensorflow"])


def run_mrnn(arguments: tuple[str, ...], directory: Path, environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Run `mrnn ARGUMENTS` in a process of its own.

    Args:
        arguments: Arguments.
        directory: Working directory, beside which the output is kept.
        environment: All environment variables.

    Returns:
        What `subprocess.run` returns, with the text of both streams.
    """
    streams = [directory.with_name(f"{directory.name}.{name}") for name in ("out", "err")]
    process = _context.Process(target=_mrnn, args=(arguments, directory, dict(environment), streams))
    process.start()
    process.join(300)
    assert process.exitcode is not None, f"mrnn {' '.join(arguments)} did not end"
    return CompletedProcess(arguments, process.exitcode, *(stream.read_text() for stream in streams))


def _mrnn(arguments: tuple[str, ...], directory: Path, environment: dict[str, str], streams: list[Path]) -> None:
    for descriptor, stream in zip((1, 2), streams, strict=True):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["mrnn", *arguments]
    multiprocessing.set_start_method("fork", force=True)  # as in a process from the shell; this one inherited another

    from tasks.cli import main  # reads the configuration of the directory and the environment

    main()
