"""The stage that provides the features by which images are compared."""

from tasks.base.stage import Stage
from tasks.training.refine_features import RefineFeatures
from tasks.training.trained_model import model_features_stage


def compared_features_stage(task: Stage, kind: str) -> Stage:
    """Return RefineFeatures, or the stage whose features the model takes.

    Args:
        task: A stage with `ModelParams`.
        kind: Feature kind, `refined` or `original`.
    """
    return task.upstream(RefineFeatures) if kind == "refined" else model_features_stage(task)
