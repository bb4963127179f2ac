"""FindNeighbors: the nearest training images of each image of a split."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.reranking.config import NeighborConfig
from model.reranking.neighbors import nearest
from schemas.annotations import read_annotations
from schemas.features import FeatureFile
from schemas.neighbors import Neighbors, write_neighbors


@dataclass(frozen=True)
class FindNeighborsInputs:
    """Artifacts that FindNeighbors reads.

    Attributes:
        features: Features of all images.
        annotations: Images and their splits.
    """

    features: Path
    annotations: Path


def find_neighbors(
    inputs: FindNeighborsInputs,
    directory: Path,
    *,
    split: str,
    kind: str,
    config: NeighborConfig,
    progress: Callable[[float, str], None],
) -> dict[str, int]:
    """Write `neighbors.h5` and return counts.

    Args:
        inputs: Artifacts to read.
        directory: Artifact to write.
        split: Split of the target images; images without features are left out.
        kind: Feature kind as it is recorded in the artifact.
        config: Metric and number of neighbors.
        progress: Receives the finished fraction and a message.

    Raises:
        ArtifactError: An input is missing or corrupted.
    """
    features = FeatureFile(inputs.features / "features.h5")
    target_ids, reference_ids = (
        [image.image_id for image in read_annotations(inputs.annotations, each) if image.image_id in features]
        for each in (split, "train")
    )
    indices, distances = nearest(
        features.read(target_ids),
        features.read(reference_ids),
        config.count,
        config.metric,
        lambda done: progress(done, f"{len(target_ids)} images against {len(reference_ids)}"),
    )
    neighbors = Neighbors(target_ids, reference_ids, indices, distances, kind, config.metric)
    write_neighbors(directory / "neighbors.h5", neighbors)
    return {"targets": len(target_ids), "references": len(reference_ids)}
