"""PublishFeatures: a release that others can use without this project."""

from tasks.feature_source import UsesFeatures
from tasks.prepare_annotations import PrepareAnnotations
from tasks.refine_features import RefineFeatures
from tasks.stage import Stage
from tasks.train_model import TrainModel
from tasks.workspace import Workspace


class PublishFeatures(UsesFeatures):
    """Refined and original features, the model, the split lists, checksums and a README in one folder."""

    def requires(self) -> dict[str, Stage]:
        """What is released."""
        return {
            "annotations": self.upstream(PrepareAnnotations),
            "features": self.features(),
            "refined": self.upstream(RefineFeatures),
            "model": self.upstream(TrainModel),
        }

    def work(self, workspace: Workspace) -> None:
        """Writes the release."""
        from pipelines.datasets import find_corpus
        from pipelines.release import write_release

        files = write_release(workspace.directory, find_corpus(self.dataset), **workspace.inputs)
        workspace.counts.update(files=files)
