"""Parameters that several stages share, as mixins without behavior.

`Stage.upstream` passes a parameter on to the stages that inherit it from the same mixin. A parameter that may differ
between two stages of one run is significant: Luigi takes tasks whose significant parameters are equal for the same one.
"""

import luigi

from model.reranking.config import RerankingConfig
from tasks.base.params import luigi_parameters


class FeatureSourceParam:
    """Origin of the image features."""

    feature_source = luigi.ChoiceParameter(
        config_path={"section": "pipeline", "name": "feature_source"},
        default="extract",
        choices=["extract", "import"],
        significant=False,  # the key of the required stage depends on it
        description="Image features are computed (extract) or read from a file (import).",
    )


class ImageInputParam:
    """Image-blind control."""

    image_input = luigi.ChoiceParameter(
        default="own",
        choices=["own", "shuffled"],
        description="Features in training: the image's own, or shuffled among the images (image-blind control).",
    )


class FinetuneBackboneParam:
    """Fine-tuning of the backbone."""

    finetune_backbone = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "finetune_backbone"},
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,  # the keys of the required stages depend on it
        description="Train the last blocks of the backbone too, and extract features again.",
    )


class ModelParams(FeatureSourceParam, ImageInputParam, FinetuneBackboneParam):
    """Selection of the model that captions, and of its features."""

    self_critical = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "self_critical"},
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="Fine-tune the model with self-critical sequence training (TrainSelfCritical).",
    )


class SplitParam:
    """Split whose images a stage handles."""

    split = luigi.ChoiceParameter(
        default="test", choices=["train", "val", "test", "unlabeled"], description="Split of the images."
    )


class FeatureKindParam:
    """Features by which images are compared."""

    feature_kind = luigi.ChoiceParameter(
        default="refined", choices=["refined", "original"], description="Features by which images are compared."
    )


class PoolParam:
    """Hypotheses that are reranked."""

    pool = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "pool"},
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="Rerank the hypotheses of several sources (PoolCaptions) instead of one n-best list.",
    )


@luigi_parameters(RerankingConfig)
class RerankingParams(FeatureKindParam, PoolParam):
    """Settings of consensus reranking."""
