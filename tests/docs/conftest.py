"""The commands of the tutorial, run with a tiny configuration."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TINY = """
[DownloadDataset]
images = 80

[ExtractFeatures]
backbone = keras:MobileNet
input_size = 32
pool = average
weights = random:0
shards = 1

[TrainModel]
epochs = 1
"""


@dataclass(frozen=True)
class Followed:
    """directory: where the commands were run; outputs: command -> exit status and all that it printed."""

    directory: Path
    outputs: dict[str, tuple[int, str]]

    def output_of(self, words: str) -> str:
        """Return the output of the only command that ends with these words."""
        (found,) = (output for command, (_, output) in self.outputs.items() if command.endswith(words))
        return found


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """The `sh` blocks of docs/tutorials/first-run.md, line after line, with the parameters of `TINY`."""
    directory = tmp_path_factory.mktemp("tutorial")
    (directory / "tiny.cfg").write_text(TINY)
    # Without Java, whose METEOR would take longest.
    tools = directory / "bin"
    tools.mkdir()
    for tool in ("bash", "cat", "head"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    (tools / "mrnn").write_text(f'#!/bin/sh\nexec {sys.executable} -m tasks.cli "$@"\n')
    (tools / "mrnn").chmod(0o755)
    environment = {
        **os.environ,
        "LUIGI_CONFIG_PATH": "tiny.cfg",
        "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent)]),
        "PYTHONPATH": str(ROOT),
    }
    page = (ROOT / "docs/tutorials/first-run.md").read_text(encoding="utf-8")
    outputs = {}
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for command in block.splitlines():
            run = subprocess.run(
                ["bash", "-c", command],
                cwd=directory,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=600,
                check=False,
            )
            outputs[command] = (run.returncode, run.stdout)
    return Followed(directory, outputs)
