"""The `model` artifact: `model.keras`, `config.json` and `vocabulary.txt`, and the training curve.

A fine-tuned backbone adds its weights.
"""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError
from schemas.io.files import atomic_path, read_json, read_json_lines, write_json, write_json_lines
from schemas.vocabulary import Vocabulary

MODEL_FILES = ("model.keras", "config.json", "vocabulary.txt")
BACKBONE_WEIGHTS = "backbone.weights.h5"
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip archive


@dataclass(frozen=True)
class Checkpoint:
    """A trained model on disk.

    Attributes:
        network: File of the network in Keras's format.
        config: Configuration of the training.
        vocabulary: Vocabulary of the captions.
    """

    network: Path
    config: dict[str, Any]
    vocabulary: Vocabulary


def write_checkpoint(
    directory: Path,
    save_network: Callable[[Path], None],
    config: dict[str, Any],
    vocabulary: Vocabulary,
    curve: list[dict[str, Any]],
) -> None:
    """Write the artifact.

    Args:
        directory: Directory of the artifact.
        save_network: Saves the network to a path in Keras's format.
        config: Configuration of the training, for `config.json`.
        vocabulary: Vocabulary of the captions.
        curve: One record per epoch, for `training/curve.jsonl`, which contains times and is therefore not part of the
            artifact's content.
    """
    with atomic_path(directory / "model.keras") as temporary:
        saved = temporary.with_name(f"{temporary.name}.keras")  # the suffix that Keras requires
        try:
            save_network(saved)
            _without_times(saved, temporary)
        finally:
            saved.unlink(missing_ok=True)
    vocabulary.write(directory / "vocabulary.txt")
    write_json(directory / "config.json", {**config, "vocabulary_digest": vocabulary.digest})
    write_json_lines(directory / "training" / "curve.jsonl", curve)


def write_backbone(directory: Path, save_weights: Callable[[Path], None]) -> None:
    """Write `BACKBONE_WEIGHTS`. `save_weights(path)` saves the weights in Keras's format."""
    with atomic_path(directory / BACKBONE_WEIGHTS) as temporary:
        saved = temporary.with_suffix(".weights.h5")  # Keras accepts no other suffix
        try:
            save_weights(saved)
            saved.replace(temporary)
        finally:
            saved.unlink(missing_ok=True)


def read_checkpoint(directory: Path) -> Checkpoint:
    """Read the artifact; the caller loads the network.

    Raises:
        ArtifactError: A file is missing, or the vocabulary is not that of the model.
    """
    config = read_json(directory / "config.json")
    vocabulary = Vocabulary.read(directory / "vocabulary.txt")
    if not isinstance(config, dict):
        raise ArtifactError(f"{directory / 'config.json'} is not the configuration of a model; train it again.")
    if config.get("vocabulary_digest") != vocabulary.digest:
        raise ArtifactError(f"{directory / 'vocabulary.txt'} is not the vocabulary that this model was trained with.")
    return Checkpoint(directory / "model.keras", config, vocabulary)


def read_curve(directory: Path) -> list[dict[str, Any]]:
    """Return the training curve, one record per epoch."""
    return list(read_json_lines(directory / "training" / "curve.jsonl"))


def _without_times(saved: Path, path: Path) -> None:
    """Copy a `.keras` file without dates, so that equal networks give equal bytes."""
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "metadata.json":
                data = json.dumps({**json.loads(data), "date_saved": ""}).encode("utf-8")
            target.writestr(zipfile.ZipInfo(name, _NO_TIME), data)
