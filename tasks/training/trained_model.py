"""Which stage trains a model on captions, and on which image features: of a fixed image network, or with it."""

from typing import Any

import luigi

from schemas.errors import ConfigurationError
from tasks.base.stage import Stage
from tasks.features.extract_features import TUNED, ExtractFeatures
from tasks.training.fine_tune_backbone import FineTuneBackbone
from tasks.training.train_model import ImageInputParam, TrainModel


class TrainedModelInput(ImageInputParam):
    """A stage that reads a model that was trained on captions, and the image features that go with it."""

    finetune_backbone = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "finetune_backbone"},
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,  # the keys of the required stages say it
        description="train the image network's upper blocks too, and extract features with it again",
    )

    @property
    def is_tuned(self) -> bool:
        """Whether the image network was trained too; for the control, which sees no images, it never is."""
        return bool(self.finetune_backbone) and self.image_input == "own"

    def trained_model(self, **parameters: Any) -> Stage:
        """TrainModel with these parameters, or FineTuneBackbone.

        Raises:
            ConfigurationError: another model than the configured one is asked for, which has no image network tuned.
        """
        if self.is_tuned and parameters:
            raise ConfigurationError(
                "Models that were fine-tuned have an image network each and make no ensemble; set ensemble to [] or "
                "finetune_backbone of [pipeline] to false."
            )
        return self.upstream(FineTuneBackbone if self.is_tuned else TrainModel, **parameters)

    def features(self) -> Stage:
        """The features that `trained_model` takes: of the tuned network, or as of every stage."""
        return self.upstream(ExtractFeatures, weights=TUNED) if self.is_tuned else super().features()
