"""Opening a feature file of COCO's size and reading random rows, against the formats that m-RNN's authors published.

The dictionary is measured at a tenth of the size, since all of it is loaded whatever is read, and its time taken ten
times; of the text files only those are made that are read.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_run
from benchmarks.timing import Rounds, per_unit, print_head, print_row
from pipelines.release.features import describe_layout, write_split
from schemas.errors import ConfigurationError
from schemas.features import FeatureDescription, FeatureFile, create_features

IMAGES, DIMENSION, ROWS = 123_287, 4096, 1000
SHARE = 10  # one image in SHARE is in the dictionary
BLOCK = 4096
NEEDED_BYTES = 4 << 30


def run() -> None:
    """Compare rows a second, opening included, with the files in the page cache."""
    random = np.random.default_rng(0)
    ids = [str(index) for index in range(IMAGES)]
    wanted = [ids[index] for index in random.choice(IMAGES, ROWS, replace=False)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if shutil.disk_usage(folder).free < NEEDED_BYTES:
            raise ConfigurationError(f"{folder} has less than 4 GiB free; set TMPDIR to a folder that has.")
        _write_artifact(folder / "features.h5", ids, random)
        write_split(folder / "released.h5", FeatureFile(folder / "features.h5"), ids, "float16")
        layout = describe_layout(folder / "released.h5")
        row = random.standard_normal(DIMENSION)
        _write_dictionary(folder / "dictionary.npy", ids[: IMAGES // SHARE], row)
        known = [image_id for image_id in wanted if int(image_id) < IMAGES // SHARE]
        for image_id in wanted:
            np.savetxt(folder / f"{image_id}.txt", row, fmt="%.6e")
        rounds = Rounds(
            {
                "artifact": per_unit(lambda: _read_artifact(folder / "features.h5", wanted), ROWS),
                "release": per_unit(lambda: _read_released(folder / "released.h5", layout, wanted), ROWS),
                "dictionary": per_unit(lambda: _read_dictionary(folder / "dictionary.npy", known), ROWS / SHARE),
                "texts": per_unit(lambda: [np.loadtxt(folder / f"{image_id}.txt") for image_id in wanted], ROWS),
            }
        )
    print(describe_run("python -m benchmarks features"))
    print_head("artifact", "comparison", "ratio")
    for other, what in (
        ("release", "release, NumPy alone"),
        ("dictionary", "authors' dictionary, read as a whole"),
        ("texts", "TF-mRNN's text files"),
    ):
        print_row(
            f"{rounds.rate('artifact'):,.0f} rows/s",
            f"{what}: {rounds.rate(other):,.0f} rows/s",
            rounds.ratio("artifact", other),
        )


def _write_artifact(path: Path, ids: list[str], random: np.random.Generator) -> None:
    block = random.standard_normal((BLOCK, DIMENSION)).astype(np.float16)
    with create_features(path, ids, DIMENSION, "float16", FeatureDescription("vgg16/fc2", "", "", "")) as rows:
        for start in range(0, len(ids), BLOCK):
            rows[start : start + BLOCK] = block[: len(ids) - start]


def _read_artifact(path: Path, wanted: list[str]) -> np.ndarray:
    return FeatureFile(path).read(wanted)


def _read_released(path: Path, layout: dict[str, Any], wanted: list[str]) -> np.ndarray:
    features, image_ids = (
        np.memmap(path, each["dtype"], "r", each["offset"], tuple(each["shape"])) for each in layout.values()
    )
    place = {image_id: row for row, image_id in enumerate(image_ids.astype(str).tolist())}
    return np.array(features[[place[image_id] for image_id in wanted]])


def _write_dictionary(path: Path, ids: list[str], row: np.ndarray) -> None:
    """As the authors': COCO's number -> float32 vector, pickled."""
    vectors = {int(image_id): row.astype(np.float32) for image_id in ids}
    np.save(path, np.array(vectors, dtype=object), allow_pickle=True)


def _read_dictionary(path: Path, wanted: list[str]) -> list[np.ndarray]:
    vectors = np.load(path, allow_pickle=True).item()
    return [vectors[int(image_id)] for image_id in wanted]
