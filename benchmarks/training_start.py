"""How long TrainModel takes from the start of its process to the end of the first step, on features of COCO's size."""

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_run
from benchmarks.timing import Cost, Rounds, per_unit, print_head, print_row
from schemas.captions import write_captions
from schemas.errors import ConfigurationError
from schemas.features import FeatureDescription, create_features
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary
from tasks.runtime.workspace import Workspace
from tasks.training.train_model import TrainModel

IMAGES, DIMENSION, CAPTIONS_AN_IMAGE, WORDS = 120_000, 4096, 5, 10_000
VALIDATION_IMAGES = 1000
BLOCK = 4096
NEEDED_BYTES = 2 << 30


class _Started(Exception):
    """The first step is done."""


def run() -> None:
    """Start a process that trains `mrnn` until its first step, five times; the new files are in the page cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if shutil.disk_usage(folder).free < NEEDED_BYTES:
            raise ConfigurationError(f"{folder} has less than 2 GiB free; set TMPDIR to a folder that has.")
        _write_inputs(folder, np.random.default_rng(0))
        command = [sys.executable, "-m", "benchmarks.training_start", name]
        rounds = Rounds({"start": per_unit(lambda: subprocess.run(command, check=True), 1)})
        print(describe_run("python -m benchmarks training_start"))
        print_head("wall time", "processor time")
        wall, cpu = (statistics.median(getattr(each["start"], kind) for each in rounds.costs) for kind in Cost._fields)
        print_row(f"{wall:.1f} s", f"{cpu:.1f} s")


def _write_inputs(folder: Path, random: np.random.Generator) -> None:
    ids = [f"{image:012d}" for image in range(IMAGES)]
    description = FeatureDescription("vgg16/fc2", "", "", "")
    block = random.standard_normal((BLOCK, DIMENSION)).astype(np.float16)
    with create_features(folder / "features.h5", ids, DIMENSION, "float16", description) as rows:
        for start in range(0, IMAGES, BLOCK):
            rows[start : start + BLOCK] = block[: IMAGES - start]
    vocabulary = Vocabulary([*SPECIAL_WORDS, *(f"w{word}" for word in range(WORDS))])
    vocabulary.write(folder / "vocabulary.txt")
    texts = [[f"w{word}" for word in random.integers(0, WORDS, 11)] for _ in range(1000)]
    splits = ["val" if image < VALIDATION_IMAGES else "train" for image in range(IMAGES)]
    captions = [[texts[image % 1000]] * CAPTIONS_AN_IMAGE for image in range(IMAGES)]
    write_captions(folder / "captions.h5", vocabulary, ids, splits, captions)


def _train_a_step(folder: Path) -> None:
    def progress(done: float, message: str) -> None:
        raise _Started

    stage = TrainModel(dataset="coco2014", data_dir=str(folder))
    try:
        stage.work(Workspace(folder / "artifact", {"captions": folder, "features": folder}, progress))
    except _Started:
        return


if __name__ == "__main__":
    _train_a_step(Path(sys.argv[1]))
