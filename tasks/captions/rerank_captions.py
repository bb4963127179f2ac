"""RerankCaptions: hypotheses ordered by their consensus with the captions of similar training images."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from model.reranking.config import ConsensusConfig, KernelRidgeConfig, RerankingMethod
from tasks.base.mixins import ModelParams, RerankingParams, SplitParam
from tasks.base.params import luigi_parameters
from tasks.base.sharded_stage import ShardedStage
from tasks.base.stage import METRICS, Stage
from tasks.captions.compared_features import compared_features_stage
from tasks.captions.find_neighbors import FindNeighbors
from tasks.captions.pool_captions import hypotheses_stage
from tasks.captions.tune_reranking import TuneReranking
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace

if TYPE_CHECKING:
    from schemas.reranking import RerankingSetting


@luigi_parameters(ConsensusConfig, KernelRidgeConfig)
class RerankCaptions(ShardedStage, ModelParams, SplitParam, RerankingParams):
    """Consensus reranking (the paper's Section 8); document frequencies are those of the training captions."""

    preload = METRICS
    version = 5  # `reranking.json` has kernel-ridge consensus
    content: ClassVar[tuple[str, ...]] = ("hypotheses.jsonl", "reranked.jsonl", "search.json", "reranking.json")

    def requires(self) -> dict[str, Stage]:
        """Return hypotheses, training captions, and neighbors or features of the setting or the grid."""
        required: dict[str, Stage] = {
            "hypotheses": hypotheses_stage(self),
            "captions": self.upstream(TokenizeCaptions),
        }
        if self.method == RerankingMethod.CONSENSUS:
            required["neighbors"] = self.upstream(FindNeighbors)
        if self.method == RerankingMethod.KERNEL_RIDGE:
            required["features"] = compared_features_stage(self, self.feature_kind)
        if self.method == RerankingMethod.TUNED:
            tuning = self.upstream(TuneReranking)
            required |= {"tuning": tuning, **tuning.images(self.split)}
        return required

    def work(self, workspace: Workspace) -> None:
        """Write `hypotheses.jsonl`, best first by consensus, and `reranked.jsonl` with scores and neighbors."""
        from pipelines.captions.rerank_captions import RerankingJob, rerank_split
        from schemas.neighbors import read_neighbors

        inputs = {name: path.resolve() for name, path in workspace.inputs.items()}
        neighbors = inputs.get("neighbors")
        metric = read_neighbors(neighbors / "neighbors.h5").metric if neighbors else None
        setting = self.setting(metric, inputs.get("tuning"))
        images = neighbors or inputs.get("features")
        if self.method == RerankingMethod.TUNED and setting.features:
            images = inputs[TuneReranking.images_name(setting.features, setting.metric)]
        changed = rerank_split(
            RerankingJob(inputs["hypotheses"], inputs["captions"], images, setting),
            workspace.directory,
            self.make_sharding(workspace),
        )
        workspace.counts.update(changed)

    def setting(self, metric: str | None, tuning: Path | None) -> "RerankingSetting":
        """Return the setting that the parameters describe.

        Args:
            metric: Metric of FindNeighbors, for `consensus`.
            tuning: Artifact of TuneReranking, for `tuned`.

        Raises:
            ArtifactError: `tuning` is corrupted.
        """
        from schemas.reranking import RerankingSetting, read_best_setting

        if tuning:
            return read_best_setting(tuning / "grid.json")
        if self.method == RerankingMethod.SELF_CONSENSUS:
            return RerankingSetting(self.similarity)
        if self.method == RerankingMethod.KERNEL_RIDGE:
            kernel = self.config(KernelRidgeConfig)
            return RerankingSetting(self.similarity, self.feature_kind, **asdict(kernel))
        m = self.m_cider if self.similarity.startswith("cider") else self.m_bleu
        return RerankingSetting(self.similarity, self.feature_kind, metric, self.k, m)
