"""FineTuneBackbone: the image network's upper blocks, trained from images together with the m-RNN."""

import luigi

from schemas.checkpoint import BACKBONE_WEIGHTS
from schemas.errors import ConfigurationError
from tasks.base.mixins import FeatureSourceParam
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.download_dataset import DownloadDataset, dataset_root
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.features.extract_features import ExtractFeatures
from tasks.features.source import features_stage
from tasks.runtime.workspace import Workspace
from tasks.training.train_model import TrainModel


class FineTuneBackbone(Stage, FeatureSourceParam):
    """Starts from the trained m-RNN and the network that its features were extracted with; keeps the best epoch."""

    preload = TENSORFLOW
    content = ("model.keras", "config.json", "vocabulary.txt", BACKBONE_WEIGHTS)

    blocks = luigi.IntParameter(default=1, description="upper blocks of the image network that are trained")
    epochs = luigi.IntParameter(default=10, description="at most")
    batch_size = luigi.IntParameter(default=16, description="images a batch, each with all its captions")
    optimizer = luigi.ChoiceParameter(
        default="adam", choices=["sgd", "adam", "adamw", "rmsprop"], description="of both networks"
    )
    learning_rate = luigi.FloatParameter(default=3e-4, description="of the m-RNN, at its peak; falls along a cosine")
    backbone_learning_rate = luigi.FloatParameter(default=1e-5, description="of the image network, likewise")
    warmup_steps = luigi.IntParameter(default=50, description="steps in which both rise: optimizers start cold")
    clip_norm = luigi.FloatParameter(default=5.0, description="largest global norm of each network's gradient; 0: none")
    select_by = luigi.ChoiceParameter(
        default="cider", choices=["cider", "perplexity"], description="of validation: which epoch is the best"
    )
    patience = luigi.IntParameter(default=4, description="epochs without a better one before the end")
    max_length = luigi.IntParameter(default=29, description="longer captions are cut to so many words")
    beam_width = luigi.IntParameter(default=3, description="of the search for validation captions")
    seed = luigi.IntParameter(default=0, description="of the order of images")
    decode_threads = luigi.IntParameter(default=2, significant=False, description="threads that read and decode ahead")

    def requires(self) -> dict[str, Stage]:
        """Images and captions, the trained model and the features that it was trained on.

        Raises:
            ConfigurationError: these features are not of a network that can be trained further.
        """
        features = features_stage(self)
        if not isinstance(features, ExtractFeatures):
            raise ConfigurationError(
                "Imported features have no image network to fine-tune; set feature_source of [pipeline] to extract."
            )
        if features.backbone.startswith("hub:"):
            raise ConfigurationError(
                f"{features.backbone} is a SavedModel, whose blocks cannot be told apart; set backbone of "
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
        """Writes the checkpoint as TrainModel does, and `backbone.weights.h5`."""
        from model.training.history import TrainingOptions
        from model.training.trainer import make_deterministic
        from pipelines.training.fine_tune_backbone import fine_tune

        make_deterministic()
        options = TrainingOptions(
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            schedule="cosine",
            warmup_steps=self.warmup_steps,
            clip_norm=self.clip_norm,
            select_by=self.select_by,
            patience=self.patience,
            max_length=self.max_length,
            beam_width=self.beam_width,
            seed=self.seed,
        )
        counts = fine_tune(
            workspace.directory,
            workspace.scratch,
            annotations=workspace.inputs["annotations"],
            dataset_root=dataset_root(workspace.inputs["download"]),
            captions=workspace.inputs["captions"],
            features=workspace.inputs["features"],
            model=workspace.inputs["model"],
            blocks=self.blocks,
            options=options,
            backbone_learning_rate=self.backbone_learning_rate,
            decode_threads=self.decode_threads,
            progress=workspace.progress,
        )
        workspace.counts.update(counts)
