"""Training checkpoints in one HDF5 file, written atomically."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import ArtifactError
from schemas.io.hdf5 import create_hdf5, open_hdf5, read_strings, write_strings


def save_state(path: Path, variables: Sequence[Any], best: Sequence[NDArray[Any]], record: dict[str, Any]) -> None:
    """Save a checkpoint.

    Args:
        path: HDF5 file to write.
        variables: Variables of network, optimizers and random generators.
        best: Values of the best weights so far.
        record: Curve and metrics, as JSON values.
    """
    text, values_now = json.dumps(record), [variable.numpy() for variable in variables]
    with create_hdf5(path) as file:
        file.attrs["digest"] = _digest(text, values_now, best)
        write_strings(file, "record", [text])
        for group, values in (("variables", values_now), ("best", best)):
            for index, value in enumerate(values):
                file.create_dataset(f"{group}/{index:04d}", data=value)


def load_state(path: Path, variables: Sequence[Any]) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Load a checkpoint and assign its values to `variables`.

    Args:
        path: HDF5 file of `save_state`.
        variables: Variables in the same order.

    Returns:
        The record and the best weights.

    Raises:
        ArtifactError: The file is damaged, or was written by another network or optimizer.
    """
    try:
        with open_hdf5(path, ("variables", "best", "record")) as file:
            stored = [file["variables"][name][()] for name in sorted(file["variables"])]
            best = [file["best"][name][()] for name in sorted(file["best"])]
            (text,) = read_strings(file["record"])
            record: dict[str, Any] = json.loads(text)
            if file.attrs.get("digest") != _digest(text, stored, best):
                raise ValueError("its digest differs")
    except (ArtifactError, OSError, ValueError, KeyError, RuntimeError, TypeError) as error:  # depends on the damage
        raise ArtifactError(f"{path} is damaged; remove it to train from the start.") from error
    if [value.shape for value in stored] != [tuple(variable.shape) for variable in variables]:
        raise ArtifactError(f"{path} belongs to another network; remove it to train from the start.")
    for variable, value in zip(variables, stored, strict=True):
        variable.assign(value)
    return record, best


def _digest(text: str, variables: Sequence[NDArray[Any]], best: Sequence[NDArray[Any]]) -> str:
    """Return the SHA-256 of a checkpoint's content, which detects changed weights."""
    digest = hashlib.sha256(text.encode("utf-8"))
    for value in (*variables, *best):
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()
