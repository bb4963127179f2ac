"""Nearest training images by original and by refined features."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pipelines.html.thumbnails import Thumbnail, Thumbnails
from pipelines.report.data import NeighborComparison, NeighborPanel
from schemas.errors import ArtifactError
from schemas.neighbors import Neighbors, read_neighbors

SIDE, NEIGHBOR_SIDE = 160, 96  # pixels
PANELS, SHOWN = 8, 5
DEPTH = 60  # number of nearest images in the paper's reranking


class Nearest:
    """Nearest training images of one neighbors artifact."""

    def __init__(self, directory: Path):
        self._neighbors: Neighbors = read_neighbors(directory / "neighbors.h5")
        self._rows = {image_id: row for row, image_id in enumerate(self._neighbors.target_ids)}

    @property
    def target_ids(self) -> list[str]:
        """Ids of the images whose neighbors are known."""
        return self._neighbors.target_ids

    @property
    def known(self) -> int:
        """Number of neighbors of each image."""
        return self._neighbors.indices.shape[1]

    def ids(self, image_id: str, count: int) -> list[str]:
        """Return the ids of the nearest images, nearest first; raise KeyError for an unknown image."""
        return [self._neighbors.reference_ids[index] for index in self._neighbors.indices[self._rows[image_id], :count]]

    def thumbnails(self, image_id: str, count: int, source: Thumbnails) -> tuple[Thumbnail, ...]:
        """Return thumbnails of the nearest images, nearest first."""
        return tuple(source.thumbnail(each, NEIGHBOR_SIDE) for each in self.ids(image_id, count))


def compare_neighbors(
    nearest: Mapping[str, Nearest], image_ids: Iterable[str], thumbnails: Thumbnails
) -> NeighborComparison:
    """Compare the nearest training images by two kinds of features.

    Args:
        nearest: Neighbors by feature kind.
        image_ids: Test images; the first ones are shown.
        thumbnails: Thumbnails of the images.

    Raises:
        ArtifactError: The artifacts cover different images.
    """
    one, other = nearest.values()
    depth = min(DEPTH, one.known, other.known)
    try:
        shared = [
            len(set(one.ids(image_id, depth)) & set(other.ids(image_id, depth))) / depth for image_id in one.target_ids
        ]
        panels = tuple(
            NeighborPanel(
                thumbnails.thumbnail(image_id, SIDE),
                {kind: each.thumbnails(image_id, SHOWN, thumbnails) for kind, each in nearest.items()},
            )
            for image_id, _ in zip(image_ids, range(PANELS), strict=False)
        )
    except KeyError as error:
        raise ArtifactError(
            f"The neighbors by {' and '.join(nearest)} features cover different images ({error}); "
            "run FindNeighbors again."
        ) from error
    return NeighborComparison(panels, depth, float(np.mean(shared)))
