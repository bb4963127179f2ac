"""ExtractTunedFeatures: image features by the fine-tuned backbone."""

from functools import cached_property
from typing import Any

from pipelines.features.config import ExtractionConfig
from schemas.checkpoint import BACKBONE_WEIGHTS
from tasks.base.mixins import FeatureSourceParam
from tasks.base.sharded_stage import ShardedStage
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.download_dataset import DownloadDataset
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.features.extract_features import extract
from tasks.features.source import features_stage
from tasks.runtime.workspace import Workspace
from tasks.training.fine_tune_backbone import FineTuneBackbone


class ExtractTunedFeatures(ShardedStage, FeatureSourceParam):
    """Extracts features again, with the weights of FineTuneBackbone and the other options of ExtractFeatures."""

    preload = TENSORFLOW
    has_plan = True
    content = ("features.h5", "features/*.h5", "rejects.jsonl")
    keyed_by_content = ("download", "annotations")  # `parameters` has the digest of the images

    @cached_property
    def extraction(self) -> Stage:
        """ExtractFeatures, whose features the fine-tuning starts from."""
        return features_stage(self)

    def requires(self) -> dict[str, Stage]:
        """Return the stages of the images, their list and the fine-tuned backbone."""
        return {
            "download": self.upstream(DownloadDataset),
            "annotations": self.upstream(PrepareAnnotations),
            "network": self.upstream(FineTuneBackbone),
        }

    def parameters(self, significant: bool) -> dict[str, Any]:
        """Return the parameters, with the options of ExtractFeatures except its weights."""
        extraction = self.extraction.parameters(significant)
        extraction.pop("weights", None)
        return {**extraction, **super().parameters(significant)}

    def work(self, workspace: Workspace) -> None:
        """Write `features.h5` and `rejects.jsonl`."""
        weights = (workspace.inputs["network"] / BACKBONE_WEIGHTS).resolve()
        extract(self, self.extraction.config(ExtractionConfig, weights=str(weights)), workspace)
