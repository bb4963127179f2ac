"""RefineFeatures: the image features as the trained m-RNN sees them."""

from tasks.base.mixins import ModelParams
from tasks.base.stage import TENSORFLOW, Stage
from tasks.runtime.workspace import Workspace
from tasks.training.source import model_stage
from tasks.training.trained_model import model_features_stage


class RefineFeatures(Stage, ModelParams):
    """g2(V_I I) of every image that has features; `MRNN.refine` says what it is in other variants."""

    preload = TENSORFLOW
    version = 2  # feature rows are stored contiguously

    def requires(self) -> dict[str, Stage]:
        """The trained model and the original features."""
        return {"model": model_stage(self), "features": model_features_stage(self)}

    def work(self, workspace: Workspace) -> None:
        """Writes `features.h5` of kind `refined`."""
        from model.mrnn.network import load_network, refine_features
        from schemas.checkpoint import read_checkpoint
        from schemas.features import FeatureDescription, FeatureFile, create_features
        from schemas.io.files import digest_file

        checkpoint = read_checkpoint(workspace.inputs["model"])
        network = load_network(checkpoint.network)
        original = FeatureFile(workspace.inputs["features"] / "features.h5")
        description = FeatureDescription(
            kind="refined",
            preprocessing=f"g2(V_I I) of {original.description.kind} ({original.description.preprocessing})",
            weights_digest=digest_file(checkpoint.network),
            dataset=self.dataset,
        )
        dimension = network.refined_size
        path = workspace.directory / "features.h5"
        with create_features(path, original.image_ids, dimension, "float32", description) as rows:
            start = 0
            for block in refine_features(network, original.blocks()):
                rows[start : start + len(block)] = block
                start += len(block)
                workspace.progress(start / len(original.image_ids), f"{start} images refined")
        workspace.counts.update(images=start, dimension=dimension)
