"""Nearest training images by original and by refined features."""

from collections.abc import Iterable, Mapping

import numpy as np

from pipelines.html.thumbnails import Thumbnail, Thumbnails
from pipelines.report.data import NeighborComparison, NeighborPanel
from schemas.errors import ArtifactError
from schemas.neighbors import Neighbors

SIDE, NEIGHBOR_SIDE = 160, 96  # pixels
PANELS, SHOWN = 8, 5
DEPTH = 60  # number of nearest images in the paper's reranking


def neighbor_thumbnails(neighbors: Neighbors, image_id: str, count: int, source: Thumbnails) -> tuple[Thumbnail, ...]:
    """Return thumbnails of the nearest images, nearest first.

    Args:
        neighbors: Neighbors of the image, among others.
        image_id: Id of the image.
        count: Maximum number of thumbnails.
        source: Thumbnails of the images.

    Raises:
        ArtifactError: The neighbors of the image are unknown.
    """
    return tuple(source.thumbnail(each, NEIGHBOR_SIDE) for each in neighbors.nearest(image_id)[:count])


def compare_neighbors(
    neighbors: Mapping[str, Neighbors], image_ids: Iterable[str], thumbnails: Thumbnails
) -> NeighborComparison:
    """Compare the nearest training images by two kinds of features.

    Args:
        neighbors: Neighbors by feature kind.
        image_ids: Test images; the first ones are shown.
        thumbnails: Thumbnails of the images.

    Raises:
        ArtifactError: The artifacts cover different images.
    """
    one, other = ({image_id: each.nearest(image_id) for image_id in each.target_ids} for each in neighbors.values())
    if one.keys() != other.keys():
        raise ArtifactError(
            f"The neighbors by {' and '.join(neighbors)} features cover different images; run FindNeighbors again."
        )
    depth = min(DEPTH, *(len(ids) for ids in (*one.values(), *other.values())))
    shared = [len({*one[image_id][:depth]} & {*other[image_id][:depth]}) / depth for image_id in one]
    panels = tuple(
        NeighborPanel(
            thumbnails.thumbnail(image_id, SIDE),
            {kind: neighbor_thumbnails(each, image_id, SHOWN, thumbnails) for kind, each in neighbors.items()},
        )
        for image_id, _ in zip(image_ids, range(PANELS), strict=False)
    )
    return NeighborComparison(panels, depth, float(np.mean(shared)))
