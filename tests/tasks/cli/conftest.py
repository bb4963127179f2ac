"""The `mrnn` command as users run it: a process of its own, in a directory without configuration."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.warm_process import run_mrnn

ROOT = Path(__file__).parents[3]
Mrnn = Callable[..., subprocess.CompletedProcess[str]]


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "LUIGI_CONFIG_PATH"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A new working directory."""
    directory = tmp_path / "working directory"
    directory.mkdir()
    return directory


@pytest.fixture
def mrnn(directory: Path) -> Mrnn:
    """Run `mrnn ARGUMENTS` in a new directory; keyword arguments are environment variables."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_mrnn(tuple(map(str, arguments)), directory, {**_inherited(), **environment})

    return run


@pytest.fixture
def cold_mrnn(directory: Path) -> Mrnn:
    """The same in a process that starts from nothing, which takes longer."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tasks.cli", *map(str, arguments)],
            cwd=directory,
            env={**_inherited(), "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def configuration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the configuration and Luigi's cache of tasks after a test that runs a subcommand in this process."""
    import luigi

    from tasks.configuration import VARIABLE, load_configuration

    monkeypatch.setenv(VARIABLE, "")
    load_configuration()
    luigi.Task.clear_instance_cache()
    yield
    monkeypatch.setenv(VARIABLE, "")
    load_configuration()
    luigi.Task.clear_instance_cache()
