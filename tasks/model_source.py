"""Which stage gives the model that captions are made with: the one that trains on captions, or TuneOnCider after it."""

from typing import Any

import luigi

from tasks.stage import Stage
from tasks.trained_model import UsesTrainedModel
from tasks.tune_on_cider import TuneOnCider


class DependsOnModel(UsesTrainedModel):
    """A stage that reads the final model, or passes on to others which one that is."""

    self_critical = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "self_critical"},
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,  # the key of the required stage says it
        description="the model is trained on by the CIDEr-D of what it says (TuneOnCider)",
    )


class UsesModel(DependsOnModel):
    """A stage that reads the final model."""

    def model(self, **parameters: Any) -> Stage:
        """TuneOnCider, or what it starts from, with these parameters; errors as of `trained_model`."""
        return self.upstream(TuneOnCider, **parameters) if self.self_critical else self.trained_model(**parameters)
