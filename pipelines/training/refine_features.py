"""RefineFeatures: image features as the trained m-RNN sees them."""

from collections.abc import Callable
from pathlib import Path

from model.mrnn.network import load_network, refine_features
from schemas.checkpoint import read_checkpoint
from schemas.features import FeatureDescription, FeatureFile, create_features
from schemas.io.files import digest_file


def refine_artifact(
    directory: Path, model: Path, features: Path, dataset: str, progress: Callable[[float, str], None]
) -> dict[str, int]:
    """Write `features.h5` of kind `refined` for every image that has features (the paper's Section 8.1).

    Args:
        directory: Directory of the artifact.
        model: Model artifact.
        features: Artifact of the original features.
        dataset: Name of the dataset.
        progress: Called with a fraction and a message.

    Returns:
        Counts for the provenance.

    Raises:
        ConfigurationError: The model does not see images.
    """
    checkpoint = read_checkpoint(model)
    network = load_network(checkpoint.network)
    original = FeatureFile(features / "features.h5")
    description = FeatureDescription(
        kind="refined",
        preprocessing=f"g2(V_I I) of {original.description.kind} ({original.description.preprocessing})",
        weights_digest=digest_file(checkpoint.network),
        dataset=dataset,
    )
    image_ids, dimension = original.image_ids, network.refined_size
    with create_features(directory / "features.h5", image_ids, dimension, "float32", description) as rows:
        start = 0
        for block in refine_features(network, original.blocks()):
            rows[start : start + len(block)] = block
            start += len(block)
            progress(start / len(image_ids), f"{start} images refined")
    return {"images": start, "dimension": dimension}
