"""RefineFeatures: image features as the trained m-RNN sees them."""

from tasks.base.mixins import ModelParams
from tasks.base.stage import TENSORFLOW, Stage
from tasks.runtime.workspace import Workspace
from tasks.training.source import model_stage
from tasks.training.trained_model import model_features_stage


class RefineFeatures(Stage, ModelParams):
    """g2(V_I I) of every image that has features; see `MRNN.refine` for the other variants."""

    preload = TENSORFLOW
    version = 2  # feature rows are stored contiguously

    def requires(self) -> dict[str, Stage]:
        """Return the stages of the trained model and of the original features."""
        return {"model": model_stage(self), "features": model_features_stage(self)}

    def work(self, workspace: Workspace) -> None:
        """Write `features.h5` of kind `refined`."""
        from pipelines.training.refine_features import refine_artifact

        inputs = workspace.inputs
        workspace.counts.update(
            refine_artifact(workspace.directory, inputs["model"], inputs["features"], self.dataset, workspace.progress)
        )
