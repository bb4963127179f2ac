"""FineTuneBackbone: the last blocks of the backbone, trained from images jointly with the m-RNN."""

from model.training.config import FineTuneBackboneConfig
from schemas.checkpoint import BACKBONE_WEIGHTS
from schemas.errors import ConfigurationError
from tasks.base.mixins import FeatureSourceParam
from tasks.base.params import luigi_parameters
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.download_dataset import DownloadDataset, dataset_root
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.features.extract_features import ExtractFeatures
from tasks.features.source import features_stage
from tasks.runtime.workspace import Workspace
from tasks.training.train_model import TrainModel


@luigi_parameters(
    FineTuneBackboneConfig,
    defaults={"epochs": 10, "batch_size": 16, "learning_rate": 3e-4, "warmup_steps": 50},
)
class FineTuneBackbone(Stage, FeatureSourceParam):
    """Starts from the trained m-RNN and the backbone of its features; keeps the best epoch."""

    preload = TENSORFLOW
    version = 4  # recurrent weight gradients in one product, Adam in one pass
    content = ("model.keras", "config.json", "vocabulary.txt", BACKBONE_WEIGHTS)

    def requires(self) -> dict[str, Stage]:
        """Images and captions, the trained model and the features that it was trained on.

        Raises:
            ConfigurationError: These features are not of a backbone that can be fine-tuned.
        """
        features = features_stage(self)
        if not isinstance(features, ExtractFeatures):
            raise ConfigurationError(
                "Imported features have no backbone to fine-tune; set feature_source of [pipeline] to extract."
            )
        if features.backbone.startswith("hub:"):
            raise ConfigurationError(
                f"{features.backbone} is a SavedModel, which has no separate blocks; set backbone of "
                "[ExtractFeatures] to an efficientnet-lite, vgg, alexnet or keras: network, or finetune_backbone of "
                "[pipeline] to false."
            )
        return {
            "download": self.upstream(DownloadDataset),
            "annotations": self.upstream(PrepareAnnotations),
            "captions": self.upstream(TokenizeCaptions),
            "features": features,
            "model": self.upstream(TrainModel),
        }

    def work(self, workspace: Workspace) -> None:
        """Write the checkpoint as TrainModel does, and `backbone.weights.h5`."""
        from model.training.trainer import make_deterministic
        from pipelines.training.data import TrainingInputs
        from pipelines.training.fine_tune_backbone import FineTuningInputs, fine_tune

        make_deterministic()
        inputs = FineTuningInputs(
            annotations=workspace.inputs["annotations"],
            dataset_root=dataset_root(workspace.inputs["download"]),
            training=TrainingInputs(workspace.inputs["captions"], workspace.inputs["features"]),
            model=workspace.inputs["model"],
        )
        config = self.config(FineTuneBackboneConfig)
        counts = fine_tune(workspace.directory, workspace.scratch, inputs, config, workspace.progress)
        workspace.counts.update(counts)
