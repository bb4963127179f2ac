"""TuneReranking: the setting that reranks the validation split best."""

from model.reranking.config import RerankingGrid
from tasks.base.mixins import ModelParams, PoolParam
from tasks.base.params import luigi_parameters
from tasks.base.stage import METRICS, Stage
from tasks.captions.compared_features import compared_features_stage
from tasks.captions.find_neighbors import FindNeighbors
from tasks.captions.pool_captions import hypotheses_stage
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace


@luigi_parameters(RerankingGrid)
class TuneReranking(Stage, ModelParams, PoolParam):
    """Scores a grid of settings on the validation split; `grid.json` contains all, best first."""

    preload = METRICS
    version = 4  # kernel-ridge consensus

    def images(self, split: str) -> dict[str, Stage]:
        """Return the stages by which the grid compares a split's images, by name: neighbors and features."""
        kinds = [str(kind) for kind in self.feature_kinds]
        return {
            self.images_name(kind, metric): self.upstream(FindNeighbors, split=split, feature_kind=kind, metric=metric)
            for kind in kinds
            for metric in self.metrics
        } | {self.images_name(kind): compared_features_stage(self, kind) for kind in kinds}

    @staticmethod
    def images_name(feature_kind: str, metric: str | None = None) -> str:
        """Return the name of neighbors, or of features if there is no metric."""
        return f"neighbors_{feature_kind}_{metric}" if metric else f"features_{feature_kind}"

    def requires(self) -> dict[str, Stage]:
        """Return hypotheses, references, neighbors and features of the validation split."""
        return {
            "hypotheses": hypotheses_stage(self, split="val"),
            "annotations": self.upstream(PrepareAnnotations),
            "captions": self.upstream(TokenizeCaptions),
            **self.images("val"),
        }

    def work(self, workspace: Workspace) -> None:
        """Write `grid.json`."""
        from pipelines.captions.tune_reranking import TuneRerankingInputs, tune_reranking

        grid, inputs = self.config(RerankingGrid), workspace.inputs
        best, scores = tune_reranking(
            TuneRerankingInputs(
                inputs["hypotheses"],
                inputs["annotations"],
                inputs["captions"],
                [inputs[self.images_name(kind, metric)] for kind in grid.feature_kinds for metric in grid.metrics],
                {kind: inputs[self.images_name(kind)] for kind in grid.feature_kinds},
            ),
            workspace.directory,
            grid,
            workspace.progress,
        )
        workspace.counts.update(best.summary(), **scores)
