"""FindNeighbors: the nearest training images of each image of a split."""

from model.reranking.config import NeighborConfig
from tasks.base.mixins import FeatureKindParam, ModelParams, SplitParam
from tasks.base.params import luigi_parameters
from tasks.base.stage import Stage
from tasks.captions.compared_features import compared_features_stage
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace


@luigi_parameters(NeighborConfig)
class FindNeighbors(Stage, ModelParams, SplitParam, FeatureKindParam):
    """Exact nearest neighbors of the split's images among the training images."""

    version = 3  # exact only: the attributes `index`, `recall` and digests are gone

    def requires(self) -> dict[str, Stage]:
        """Return the features and the list of images."""
        return {
            "features": compared_features_stage(self, self.feature_kind),
            "annotations": self.upstream(PrepareAnnotations),
        }

    def work(self, workspace: Workspace) -> None:
        """Write `neighbors.h5`."""
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
