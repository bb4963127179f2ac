"""The import contracts of pyproject.toml: four layers, phases in order, no cycles."""

import subprocess
import sys
from pathlib import Path


def test_imports_keep_the_contracts() -> None:
    # In a process of its own, because it closes the logging handlers of the process that it runs in.
    run = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
