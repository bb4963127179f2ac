"""Nearest training images by original and by refined features."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pipelines.html.thumbnails import Thumbnails
from pipelines.report.data import NeighborComparison, NeighborPanel, Picture
from schemas.errors import ArtifactError
from schemas.neighbors import Neighbors, read_neighbors

SIDE, NEIGHBOR_SIDE = 160, 96  # pixels
PANELS, SHOWN = 8, 5
DEPTH = 60  # nearest images whose captions the paper's reranking compares with


class Nearest:
    """The nearest training images in one neighbors artifact."""

    def __init__(self, directory: Path):
        self._neighbors: Neighbors = read_neighbors(directory / "neighbors.h5")
        self._rows = {image_id: row for row, image_id in enumerate(self._neighbors.target_ids)}

    @property
    def target_ids(self) -> list[str]:
        """The images whose neighbors are known."""
        return self._neighbors.target_ids

    @property
    def known(self) -> int:
        """How many neighbors of each image are known."""
        return self._neighbors.indices.shape[1]

    def ids(self, image_id: str, count: int) -> list[str]:
        """The nearest images, nearest first; raises KeyError if those of `image_id` are not known."""
        return [self._neighbors.reference_ids[index] for index in self._neighbors.indices[self._rows[image_id], :count]]

    def pictures(self, image_id: str, count: int, thumbnails: Thumbnails) -> tuple[Picture, ...]:
        """The same as small pictures."""
        return tuple(thumbnails.picture(each, NEIGHBOR_SIDE) for each in self.ids(image_id, count))


def compare_neighbors(
    nearest: Mapping[str, Nearest], image_ids: Iterable[str], thumbnails: Thumbnails
) -> NeighborComparison:
    """By feature kind, what is near the first of `image_ids`, and how much of it is the same over all images.

    Raises:
        ArtifactError: the artifacts are not about the same images.
    """
    one, other = nearest.values()
    depth = min(DEPTH, one.known, other.known)
    try:
        shared = [
            len(set(one.ids(image_id, depth)) & set(other.ids(image_id, depth))) / depth for image_id in one.target_ids
        ]
        panels = tuple(
            NeighborPanel(
                thumbnails.picture(image_id, SIDE),
                {kind: each.pictures(image_id, SHOWN, thumbnails) for kind, each in nearest.items()},
            )
            for image_id, _ in zip(image_ids, range(PANELS), strict=False)
        )
    except KeyError as error:
        raise ArtifactError(
            f"The neighbors by {' and '.join(nearest)} features are not of the same images ({error}); run "
            "FindNeighbors again."
        ) from error
    return NeighborComparison(panels, depth, float(np.mean(shared)))
