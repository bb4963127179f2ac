"""One run of the complete pipeline by the `luigi` command, on a small version of the generated dataset and model."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CONFIGURATION = """
[pipeline]
data_dir = {data_dir}

[DownloadDataset]
images = 600

[TrainModel]
embedding_size = 64
recurrent_size = 128
multimodal_size = 128
epochs = 4
learning_rate = 1e-2

[EvaluateRetrieval]
normalization_images = 20
"""


@dataclass(frozen=True)
class Pipeline:
    """The `luigi` command with the configuration of the test, run from the repository's root."""

    configuration: Path
    data_dir: Path

    def luigi(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `luigi --module tasks ...`; standard error is part of the output."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("luigi")), "--module", "tasks", *arguments, "--local-scheduler"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "LUIGI_CONFIG_PATH": str(self.configuration), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )

    def mrnn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `mrnn ...`; standard error is part of the output."""
        return subprocess.run(
            [sys.executable, "-m", "tasks.cli", *arguments],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "LUIGI_CONFIG_PATH": str(self.configuration)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )

    def artifact(self, stage: str) -> Path:
        """The only artifact of a stage."""
        (found,) = (path.parent for path in self.data_dir.glob(f"shapes/{stage}/*/provenance.json"))
        return found


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """After `FullPipeline --workers 2` has run to its end."""
    root = tmp_path_factory.mktemp("pipeline")
    configuration = root / "test.cfg"
    configuration.write_text(CONFIGURATION.format(data_dir=root / "var"))
    made = Pipeline(configuration, root / "var")
    run = made.luigi("FullPipeline", "--workers", "2")
    assert run.returncode == 0, run.stdout
    assert "report.html" in run.stdout
    return made
