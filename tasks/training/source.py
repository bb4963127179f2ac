"""The stage that provides the model that captions are generated with."""

from typing import Any

from tasks.base.stage import Stage
from tasks.training.train_self_critical import TrainSelfCritical
from tasks.training.trained_model import trained_model_stage


def model_stage(task: Stage, **parameters: Any) -> Stage:
    """Return TrainSelfCritical, or the stage whose model it starts from.

    Args:
        task: A stage with `ModelParams`.
        parameters: Parameters of the stage other than the configured ones, such as `seed`.

    Raises:
        ConfigurationError: As of `trained_model_stage`.
    """
    if task.self_critical:
        return task.upstream(TrainSelfCritical, **parameters)
    return trained_model_stage(task, **parameters)
