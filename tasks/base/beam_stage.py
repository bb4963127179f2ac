"""The base class of stages whose work runs on Apache Beam, over shards."""

from typing import TYPE_CHECKING, ClassVar

import luigi

from tasks.base.stage import Stage
from tasks.base.storage import configure_storage

if TYPE_CHECKING:
    from pipelines.beam.runner import BeamRunner


class BeamStage(Stage):
    """A stage whose work is divided into shards. An interrupted run resumes with the shards that are left.

    Runner, resource hints and number of shards are those of one stage: the stages that it requires have their own.
    """

    private: ClassVar[tuple[str, ...]] = ("shards", "runner", "runner_options", "resource_hints")

    shards = luigi.IntParameter(
        default=16, significant=False, description="Number of shards, the units of work, retry and resume."
    )
    runner = luigi.Parameter(
        config_path={"section": "beam", "name": "runner"},
        significant=False,
        description="Class path of a Beam runner, or manual.",
    )
    runner_options = luigi.ListParameter(
        config_path={"section": "beam", "name": "options"},
        significant=False,
        description="Options of the Beam runner, as a JSON list.",
    )
    resource_hints = luigi.DictParameter(
        config_path={"section": "beam", "name": "resource_hints"},
        significant=False,
        description="Beam resource hints of the ParDo, as a JSON object.",
    )

    def engine(self) -> "BeamRunner":
        """Return the runner of the work; stores of objects are configured from then on."""
        from pipelines.beam.runner import BeamRunner

        configure_storage()
        return BeamRunner(self.runner, tuple(self.runner_options), tuple(self.resource_hints.items()))
