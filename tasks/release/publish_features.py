"""PublishFeatures: a release that others can use without this project."""

import logging

import luigi

from schemas.provenance import is_complete
from tasks.base.mixins import ModelParams, PoolParam
from tasks.base.stage import Stage
from tasks.base.storage import configure_storage
from tasks.captions.find_neighbors import FindNeighbors
from tasks.captions.pool_captions import hypotheses_stage
from tasks.captions.rerank_captions import RerankCaptions
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace
from tasks.training.fine_tune_backbone import FineTuneBackbone
from tasks.training.refine_features import RefineFeatures
from tasks.training.source import model_stage
from tasks.training.trained_model import has_tuned_backbone, model_features_stage

log = logging.getLogger("tasks")


class PublishFeatures(Stage, ModelParams, PoolParam):
    """Write features, model, captions, split lists, cards and checksums to one directory; upload it if requested."""

    version = 2  # files by split in directories, cards, metadata
    content = ("**/*",)

    dtype = luigi.ChoiceParameter(
        default="float16", choices=["float16", "float32"], description="Type of the released features."
    )
    formats = luigi.ListParameter(
        default=[], description="Additional formats, as a JSON list: mrnn, npy, coco, karpathy."
    )
    base_url = luigi.Parameter(default="", description="URL of the release for the download script and the metadata.")
    date = luigi.Parameter(default="", description="Date of publication for the metadata, such as 2026-01-31.")
    publish_to = luigi.Parameter(
        default="",
        significant=False,
        description="Directory or URL (s3://, gs://, hdfs://) to upload the release to.",
    )

    def requires(self) -> dict[str, Stage]:
        """Return all stages whose artifacts are released."""
        test = {"split": "test"}
        tuned: dict[str, Stage] = {"image_network": self.upstream(FineTuneBackbone)} if has_tuned_backbone(self) else {}
        return {
            **tuned,
            "annotations": self.upstream(PrepareAnnotations),
            "captions": self.upstream(TokenizeCaptions),
            "original": model_features_stage(self),
            "refined": self.upstream(RefineFeatures),
            "model": model_stage(self),
            "hypotheses": hypotheses_stage(self, **test),
            "reranked": self.upstream(RerankCaptions, **test),
            "neighbors_original": self.upstream(FindNeighbors, feature_kind="original", **test),
            "neighbors_refined": self.upstream(FindNeighbors, feature_kind="refined", **test),
        }

    def work(self, workspace: Workspace) -> None:
        """Write the release."""
        from pipelines.data.datasets import find_dataset
        from pipelines.release.publish_features import ReleaseOptions, write_release

        options = ReleaseOptions(self.dtype, self.formats, self.base_url, self.date)
        dataset = find_dataset(self.dataset)
        counts = write_release(workspace.directory, dataset, workspace.inputs, options, workspace.progress)
        workspace.counts.update(counts)

    def complete(self) -> bool:
        """Return whether the release is complete and, if requested, published."""
        return super().complete() and (not self.publish_to or self._is_published())

    def _is_published(self) -> bool:
        from pipelines.release.upload import is_published

        configure_storage()
        return is_published(self.directory, self.publish_to)

    def run(self) -> None:
        """Write the release unless it is complete, then upload it."""
        if not is_complete(self.directory):
            super().run()
        if self.publish_to:
            from pipelines.release.upload import publish

            configure_storage()
            sent = publish(self.directory, self.publish_to, self._say)
            log.info("%s: %d files sent to %s", self, sent, self.publish_to)

    def _say(self, fraction: float, message: str) -> None:
        if self.set_status_message:
            self.set_progress_percentage(round(100 * fraction))
            self.set_status_message(message)
