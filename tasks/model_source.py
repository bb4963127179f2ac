"""Which stage gives the trained model: TrainModel, or TuneOnCider after it."""

from typing import Any

import luigi

from tasks.feature_source import UsesFeatures
from tasks.stage import Stage
from tasks.train_model import TrainModel
from tasks.tune_on_cider import TuneOnCider


class UsesModel(UsesFeatures):
    """A stage that reads a trained model."""

    self_critical = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "self_critical"},
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,  # the key of the required stage says it
        description="the model is trained on by the CIDEr-D of what it says (TuneOnCider)",
    )

    def model(self, **parameters: Any) -> Stage:
        """TrainModel or TuneOnCider, with these parameters."""
        return self.upstream(TuneOnCider if self.self_critical else TrainModel, **parameters)
