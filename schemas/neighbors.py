"""The `neighbors.h5` artifact: for each target image its nearest reference images, nearest first."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.io.hdf5 import create_hdf5, open_hdf5, read_strings, write_strings


@dataclass(frozen=True)
class Neighbors:
    """indices: int32 (targets, K) into `reference_ids`; distances: float32 (targets, K), rising along each row."""

    target_ids: list[str]
    reference_ids: list[str]
    indices: np.ndarray
    distances: np.ndarray


def write_neighbors(
    path: Path,
    neighbors: Neighbors,
    *,
    kind: str,
    metric: str,
    target_digest: str,
    reference_digest: str,
    index: str = "exact",
    recall: float = 1.0,
) -> None:
    """Writes the neighbors with what they were computed from: feature kind, metric and digests of both sides.

    index: `exact`, or the approximate one that found them; recall: the share of exact neighbors among them, measured.
    """
    with create_hdf5(path) as file:
        file.attrs.update(
            {
                "kind": kind,
                "metric": metric,
                "target_digest": target_digest,
                "reference_digest": reference_digest,
                "index": index,
                "recall": recall,
            }
        )
        file.create_dataset("indices", data=neighbors.indices.astype(np.int32))
        file.create_dataset("distances", data=neighbors.distances.astype(np.float32))
        write_strings(file, "target_ids", neighbors.target_ids)
        write_strings(file, "reference_ids", neighbors.reference_ids)


def read_neighbors(path: Path) -> Neighbors:
    """Reads `neighbors.h5`; raises ArtifactError if it is missing or damaged."""
    with open_hdf5(path, ("indices", "distances", "target_ids", "reference_ids")) as file:
        return Neighbors(
            target_ids=read_strings(file["target_ids"]),
            reference_ids=read_strings(file["reference_ids"]),
            indices=file["indices"][()],
            distances=file["distances"][()],
        )
