"""The `neighbors.h5` artifact: for each target image its nearest reference images, nearest first."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.errors import ArtifactError, ConfigurationError
from schemas.io.hdf5 import create_hdf5, open_hdf5, read_strings, write_strings


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Nearest reference images of each target image.

    Attributes:
        target_ids: Ids of the N target images.
        reference_ids: Ids of the reference images.
        indices: Neighbors int32 (N, K) as positions in `reference_ids`, nearest first.
        distances: Their distances float32 (N, K).
        kind: Kind of the features that were compared, such as `refined`.
        metric: Distance between feature vectors: `euclidean` or `cosine`.
    """

    target_ids: list[str]
    reference_ids: list[str]
    indices: NDArray[np.int32]
    distances: NDArray[np.float32]
    kind: str
    metric: str

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(self.target_ids)}

    def nearest(self, image_id: str, k: int | None = None) -> list[str]:
        """Return the ids of an image's nearest images, nearest first and never the image itself.

        Args:
            image_id: Id of a target image.
            k: Number of neighbors; all known ones by default. Limited to the number of reference images.

        Raises:
            ArtifactError: The neighbors of this image are unknown.
            ConfigurationError: Fewer than `k` neighbors are known although there are more reference images.
        """
        if image_id not in self._row_of:
            raise ArtifactError(f"Image {image_id} has no {self.kind} neighbors; run FindNeighbors for its split.")
        ids = [self.reference_ids[index] for index in self.indices[self._row_of[image_id]]]
        others = [each for each in ids if each != image_id]
        if k is not None and len(others) < min(k, self.available(image_id)):
            raise ConfigurationError(f"{k} neighbors are requested and only {len(others)} are known; lower k.")
        return others[:k]

    def available(self, image_id: str) -> int:
        """Return the number of reference images other than the image itself."""
        return len(self.reference_ids) - (image_id in self._references)

    @cached_property
    def _references(self) -> frozenset[str]:
        return frozenset(self.reference_ids)


def write_neighbors(path: Path, neighbors: Neighbors) -> None:
    """Write `neighbors.h5`."""
    with create_hdf5(path) as file:
        file.attrs.update({"kind": neighbors.kind, "metric": neighbors.metric})
        file.create_dataset("indices", data=neighbors.indices.astype(np.int32))
        file.create_dataset("distances", data=neighbors.distances.astype(np.float32))
        write_strings(file, "target_ids", neighbors.target_ids)
        write_strings(file, "reference_ids", neighbors.reference_ids)


def read_neighbors(path: Path) -> Neighbors:
    """Read `neighbors.h5`.

    Raises:
        ArtifactError: The file is missing or corrupted.
    """
    with open_hdf5(path, ("indices", "distances", "target_ids", "reference_ids")) as file:
        return Neighbors(
            target_ids=read_strings(file["target_ids"]),
            reference_ids=read_strings(file["reference_ids"]),
            indices=file["indices"][()],
            distances=file["distances"][()],
            kind=str(file.attrs["kind"]),
            metric=str(file.attrs["metric"]),
        )
