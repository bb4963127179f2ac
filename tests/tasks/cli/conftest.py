"""The `mrnn` command as users run it: a process of its own, in a directory without configuration."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
Mrnn = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mrnn(tmp_path: Path) -> Mrnn:
    """Run `mrnn ARGUMENTS` in a new directory; keyword arguments are environment variables."""
    directory = tmp_path / "working directory"
    directory.mkdir()

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "LUIGI_CONFIG_PATH"}
        return subprocess.run(
            [sys.executable, "-m", "tasks.cli", *map(str, arguments)],
            cwd=directory,
            env={**inherited, "PYTHONPATH": str(ROOT), **environment},
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
