"""The stages that provide a model trained with cross-entropy, and the features that it was trained on."""

from typing import Any

from schemas.errors import ConfigurationError
from tasks.base.stage import Stage
from tasks.features.source import features_stage
from tasks.training.extract_tuned_features import ExtractTunedFeatures
from tasks.training.fine_tune_backbone import FineTuneBackbone
from tasks.training.train_model import TrainModel


def has_tuned_backbone(task: Stage) -> bool:
    """Return whether the backbone is trained too; that of the image-blind control, which sees no images, never is.

    Args:
        task: A stage with `FinetuneBackboneParam` and `ImageInputParam`.
    """
    return bool(task.finetune_backbone) and task.image_input == "own"


def trained_model_stage(task: Stage, **parameters: Any) -> Stage:
    """Return FineTuneBackbone or TrainModel.

    Args:
        task: A stage with `FeatureSourceParam`, `FinetuneBackboneParam` and `ImageInputParam`.
        parameters: Parameters of TrainModel other than the configured ones.

    Raises:
        ConfigurationError: Parameters are given although the backbone is fine-tuned.
    """
    if has_tuned_backbone(task) and parameters:
        raise ConfigurationError(
            "Models with a fine-tuned backbone have a backbone each and cannot form an ensemble; set model_seeds to [] "
            "or finetune_backbone of [pipeline] to false."
        )
    return task.upstream(FineTuneBackbone if has_tuned_backbone(task) else TrainModel, **parameters)


def model_features_stage(task: Stage) -> Stage:
    """Return the stage whose features the model takes: of the fine-tuned backbone, or as `features_stage`.

    Args:
        task: See `trained_model_stage`.
    """
    return task.upstream(ExtractTunedFeatures) if has_tuned_backbone(task) else features_stage(task)
