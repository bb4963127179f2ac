"""FindNeighbors: the nearest training images of each image of a split."""

import luigi

from model.reranking.config import NeighborConfig
from tasks.base.params import luigi_parameters
from tasks.base.stage import Stage
from tasks.captions.generate_captions import SplitParam
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace
from tasks.training.refine_features import RefineFeatures


class FeatureKindParam(SplitParam):
    """A stage that compares images by one kind of features."""

    feature_kind = luigi.ChoiceParameter(
        default="refined", choices=["refined", "original"], description="Features by which images are compared."
    )


@luigi_parameters(NeighborConfig)
class FindNeighbors(FeatureKindParam):
    """Exact nearest neighbors of the split's images among the training images."""

    version = 3  # exact only: the attributes `index`, `recall` and digests are gone

    def requires(self) -> dict[str, Stage]:
        """The features and the list of images."""
        features = self.upstream(RefineFeatures) if self.feature_kind == "refined" else self.features()
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
