"""The stage that provides the final model: TrainSelfCritical, or the one that trains on captions."""

from typing import Any

import luigi

from tasks.base.stage import Stage
from tasks.training.train_self_critical import TrainSelfCritical
from tasks.training.trained_model import TrainedModelInput


class ModelSource(TrainedModelInput):
    """A stage that reads the final model, or passes on to others which one that is."""

    self_critical = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "self_critical"},
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,  # the key of the required stage says it
        description="the model is trained on by the CIDEr-D of what it says (TrainSelfCritical)",
    )


class ModelInput(ModelSource):
    """A stage that reads the final model."""

    def model(self, **parameters: Any) -> Stage:
        """TrainSelfCritical, or what it starts from, with these parameters; errors as of `trained_model`."""
        return (
            self.upstream(TrainSelfCritical, **parameters) if self.self_critical else self.trained_model(**parameters)
        )
