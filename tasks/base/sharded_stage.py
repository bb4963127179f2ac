"""The base class of stages whose work is divided into shards, which an engine computes."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import luigi

from schemas.errors import ConfigurationError
from tasks.base.params import plain
from tasks.base.stage import Stage
from tasks.base.storage import configure_storage
from tasks.runtime.workspace import Workspace

if TYPE_CHECKING:
    from pipelines.engines.engine import Engine, Sharding

log = logging.getLogger("tasks")


def _beam(stage: "ShardedStage") -> "Engine":
    from pipelines.engines.beam import BeamEngine

    return BeamEngine(stage.runner, tuple(stage.runner_options), tuple(stage.resource_hints.items()))


def _dask(stage: "ShardedStage") -> "Engine":
    from pipelines.engines.dask import DaskEngine

    return DaskEngine(stage.dask_scheduler, stage.engine_timeout)


def _manual(stage: "ShardedStage") -> "Engine":
    from pipelines.engines.manual import ManualEngine

    return ManualEngine()


def _spark(stage: "ShardedStage") -> "Engine":
    from pipelines.engines.spark import SparkEngine

    return SparkEngine(stage.spark_master, plain(stage.spark_options), stage.engine_timeout)


ENGINES: dict[str, Callable[["ShardedStage"], "Engine"]] = {
    "beam": _beam,
    "dask": _dask,
    "manual": _manual,
    "spark": _spark,
}
"""Name of an engine -> its constructor; each imports its library only when it is chosen."""


class ShardedStage(Stage):
    """A stage whose work is divided into shards. An interrupted run resumes with the shards that are left.

    Engine, its options and number of shards are those of one stage: the stages that it requires have their own.

    Attributes:
        has_plan: Whether `mrnn extract-shard` can compute the shards, for the engine `manual`.
    """

    has_plan: ClassVar[bool] = False

    shards = luigi.IntParameter(
        default=16, significant=False, description="Number of shards, the units of work, retry and resume."
    )
    engine = luigi.ChoiceParameter(
        choices=sorted(ENGINES),
        config_path={"section": "engine", "name": "name"},
        significant=False,
        description="Engine that computes the shards.",
    )
    engine_timeout = luigi.FloatParameter(
        config_path={"section": "engine", "name": "timeout"},
        significant=False,
        description="Seconds without any worker after which Dask or Spark is given up.",
    )
    runner = luigi.Parameter(
        config_path={"section": "beam", "name": "runner"},
        significant=False,
        description="Class path of a Beam runner.",
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
    dask_scheduler = luigi.Parameter(
        default="",
        config_path={"section": "dask", "name": "scheduler"},
        significant=False,
        description="Address of Dask's scheduler, such as tcp://HOST:8786.",
    )
    spark_master = luigi.Parameter(
        default="",
        config_path={"section": "spark", "name": "master"},
        significant=False,
        description="Master of the Spark cluster, such as spark://HOST:7077.",
    )
    spark_options = luigi.DictParameter(
        default={},
        config_path={"section": "spark", "name": "options"},
        significant=False,
        description="Properties of Spark's configuration, as a JSON object.",
    )
    shared_dir = luigi.Parameter(
        default="",
        config_path={"section": "engine", "name": "shared_dir"},
        significant=False,
        description="Directory or URL by which driver and workers exchange files, if workers do not see data_dir.",
    )

    private: ClassVar[tuple[str, ...]] = tuple(
        name for name, value in vars().items() if isinstance(value, luigi.Parameter)
    )

    def run(self) -> None:
        """Make the artifact; its shards are then removed from `shared_dir`."""
        super().run()
        if self.shared_dir:
            from pipelines import storage

            configure_storage()
            try:
                storage.delete_directory(self._shards_directory())
            except OSError as error:
                log.warning("%s: %s", self, error)

    def make_sharding(self, workspace: Workspace) -> "Sharding":
        """Return shards and engine of the work; stores of objects are configured from then on.

        Raises:
            ConfigurationError: The engine is `manual` and this stage has no plan for it.
        """
        from pipelines.engines.engine import Sharding

        if self.engine == "manual" and not self.has_plan:
            raise ConfigurationError(
                f"The engine manual extracts features only; set another for this stage: --set {self.stage}.engine=beam."
            )
        configure_storage()
        inputs = self._shared("inputs") if self.shared_dir else ""
        directory = self._shards_directory() if self.shared_dir else str(workspace.scratch.resolve())
        return Sharding(ENGINES[self.engine](self), self.shards, directory, inputs, workspace.progress)

    def _shards_directory(self) -> str:
        return self._shared(f"shards/{self.key}")

    def _shared(self, name: str) -> str:
        directory = self.shared_dir if "://" in self.shared_dir else str(Path(self.shared_dir).absolute())
        return f"{directory.rstrip('/')}/{name}"
