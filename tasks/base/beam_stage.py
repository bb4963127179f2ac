"""What stages share whose work runs on BeamStrategy, over shards."""

from typing import TYPE_CHECKING, ClassVar

import luigi

from tasks.base.stage import Stage

if TYPE_CHECKING:
    from pipelines.beam.runner import BeamRunner


class BeamStage(Stage):
    """A stage whose work is cut into shards. An interrupted run goes on with the shards that are left.

    Runner, hints and number of shards are those of one stage: what it requires has its own.
    """

    private: ClassVar[tuple[str, ...]] = ("shards", "runner", "runner_options", "resource_hints")

    shards = luigi.IntParameter(default=16, significant=False, description="units of work, retry and resume")
    runner = luigi.Parameter(
        config_path={"section": "beam", "name": "runner"}, significant=False, description="class path of a Beam runner"
    )
    runner_options = luigi.ListParameter(
        config_path={"section": "beam", "name": "options"}, significant=False, description="its options, a JSON list"
    )
    resource_hints = luigi.DictParameter(
        config_path={"section": "beam", "name": "resource_hints"},
        significant=False,
        description="Beam resource hints of the one ParDo, a JSON object",
    )

    def engine(self) -> "BeamRunner":
        """Where the work runs."""
        from pipelines.beam.runner import BeamRunner

        return BeamRunner(self.runner, tuple(self.runner_options), tuple(self.resource_hints.items()))
