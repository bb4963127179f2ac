"""Processes forked from one that has imported TensorFlow, in a fraction of the time that a new one takes to start."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

_context = multiprocessing.get_context("forkserver")
# What stages import, and what the commands do, but nothing that reads the configuration of the directory.
_context.set_forkserver_preload(
    "h5py keras nltk tensorflow jsonschema msgspec PIL.Image pyarrow.parquet requests rich.console sqlite3 "
    "tenacity.tornadoweb tqdm typer pipelines.data.datasets model.training.config".split()
)


def start(function: Callable[..., None], *arguments: Any, **environment: str) -> BaseProcess:
    """Start a process that calls a function of a module.

    Args:
        function: The function, whose module the process imports.
        arguments: Its arguments.
        environment: Environment variables besides those of this process.

    Returns:
        The process, which is the leader of its process group.
    """
    variables = {**os.environ, **environment}
    process = _context.Process(target=_call, args=(function, arguments, variables, Path.cwd(), []))
    process.start()
    return process


def run(
    function: Callable[..., None], *arguments: Any, directory: Path, environment: Mapping[str, str]
) -> CompletedProcess[str]:
    """Call a function of a module in a process of its own.

    Args:
        function: The function, whose module the process imports.
        arguments: Its arguments.
        directory: Working directory, beside which the output is kept.
        environment: All environment variables.

    Returns:
        What `subprocess.run` returns, with the text of both streams.
    """
    streams = [directory.with_name(f"{directory.name}.{name}") for name in ("out", "err")]
    process = _context.Process(target=_call, args=(function, arguments, dict(environment), directory, streams))
    process.start()
    process.join(300)
    assert process.exitcode is not None, f"{function.__name__}{arguments} did not end"
    return CompletedProcess(arguments, process.exitcode, *(stream.read_text() for stream in streams))


def run_mrnn(arguments: tuple[str, ...], directory: Path, environment: Mapping[str, str]) -> CompletedProcess[str]:
    """`run` the `mrnn` command with arguments."""
    return run(_mrnn, *arguments, directory=directory, environment=environment)


def _call(
    function: Callable[..., None],
    arguments: tuple[Any, ...],
    environment: dict[str, str],
    directory: Path,
    streams: list[Path],
) -> None:
    os.setsid()
    for descriptor, stream in zip((1, 2), streams, strict=False):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    multiprocessing.set_start_method("fork", force=True)  # as in a process from the shell; this one inherited another
    function(*arguments)


def _mrnn(*arguments: str) -> None:
    sys.argv = ["mrnn", *arguments]

    from tasks.cli import main  # reads the configuration of the directory and the environment

    main()
