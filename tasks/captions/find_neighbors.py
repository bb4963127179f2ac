"""FindNeighbors: the nearest training images of each image of a split."""

from model.reranking.config import NeighborConfig
from tasks.base.mixins import FeatureKindParam, ModelParams, SplitParam
from tasks.base.params import luigi_parameters
from tasks.base.stage import Stage
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace
from tasks.training.refine_features import RefineFeatures
from tasks.training.trained_model import model_features_stage


@luigi_parameters(NeighborConfig)
class FindNeighbors(Stage, ModelParams, SplitParam, FeatureKindParam):
    """Exact nearest neighbors of the split's images among the training images."""

    version = 3  # exact only: the attributes `index`, `recall` and digests are gone

    def requires(self) -> dict[str, Stage]:
        """The features and the list of images."""
        features = self.upstream(RefineFeatures) if self.feature_kind == "refined" else model_features_stage(self)
        return {"features": features, "annotations": self.upstream(PrepareAnnotations)}

    def work(self, workspace: Workspace) -> None:
        """Writes `neighbors.h5`."""
        from pipelines.captions.find_neighbors import FindNeighborsInputs, find_neighbors

        counts = find_neighbors(
            FindNeighborsInputs(**workspace.inputs),
            workspace.directory,
            split=self.split,
            kind=self.feature_kind,
            config=self.config(NeighborConfig),
            progress=workspace.progress,
        )
        workspace.counts.update(counts)
