"""What the configuration reaches: all artifacts that a task without further parameters may need.

`python -m tasks.cli.reachable` prints them as a JSON list, for another configuration than that of the caller.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import luigi

from schemas.errors import ConfigurationError
from tasks.base.stage import Stage
from tasks.cli.command import Command
from tasks.cli.graph import walk


def reachable() -> set[str]:
    """Places below any data directory, `<dataset>/<stage>/<key>`, whether something is there or not."""
    import tasks

    found: set[str] = set()
    for stage in (getattr(tasks, name) for name in tasks.__all__):
        if not issubclass(stage, Stage) or issubclass(stage, Command):
            continue
        try:
            root = stage()
        except luigi.parameter.MissingParameterException:  # nothing is reached by the configuration alone
            continue
        found.update(f"{task.dataset}/{task.stage}/{task.key}" for _, task, first in walk(root) if first)
    return found


def reachable_by(configuration: Path) -> set[str]:
    """What is reachable by another configuration file, as if it stood in `LUIGI_CONFIG_PATH`.

    Raises:
        ConfigurationError: there is no such file, or it makes no sense.
    """
    if not configuration.is_file():  # Luigi would go on without it
        raise ConfigurationError(f"There is no configuration file {configuration}; correct --configs.")
    asked = subprocess.run(
        [sys.executable, "-m", "tasks.cli.reachable"],
        env={**os.environ, "LUIGI_CONFIG_PATH": str(configuration)},
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        reason = (asked.stderr.strip() or "it gives no reason").splitlines()[-1]
        raise ConfigurationError(f"{configuration} reaches nothing ({reason}); correct it, or leave it out.")
    return set(json.loads(asked.stdout))


if __name__ == "__main__":
    print(json.dumps(sorted(reachable())))
