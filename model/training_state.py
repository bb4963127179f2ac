"""What training needs to go on after a stop, in one HDF5 file that is whole or absent."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import ArtifactError
from schemas.hdf5 import create_hdf5, open_hdf5, read_strings, write_strings


def save_state(path: Path, variables: Sequence[Any], best: Sequence[np.ndarray], record: dict[str, Any]) -> None:
    """Stores all variables (network, optimiser, random generators), the best weights so far and a record for JSON."""
    with create_hdf5(path) as file:
        write_strings(file, "record", [json.dumps(record)])
        for group, values in (("variables", [variable.numpy() for variable in variables]), ("best", best)):
            for index, value in enumerate(values):
                file.create_dataset(f"{group}/{index:04d}", data=value)


def load_state(path: Path, variables: Sequence[Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Puts the stored values into `variables`; returns the record and the best weights.

    Raises:
        ArtifactError: the file is damaged, or was made by another network or optimiser.
    """
    try:
        with open_hdf5(path, ("variables", "best", "record")) as file:
            stored = [file["variables"][name][()] for name in sorted(file["variables"])]
            best = [file["best"][name][()] for name in sorted(file["best"])]
            record: dict[str, Any] = json.loads(read_strings(file["record"])[0])
    except (ArtifactError, OSError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged; remove it to train from the start.") from error
    if [value.shape for value in stored] != [tuple(variable.shape) for variable in variables]:
        raise ArtifactError(f"{path} belongs to another network; remove it to train from the start.")
    for variable, value in zip(variables, stored, strict=True):
        variable.assign(value)
    return record, best
