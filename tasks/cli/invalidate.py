"""Invalidate: deletes a stage's artifact and all that was made from it."""

from pathlib import Path

import luigi

from schemas.errors import ConfigurationError
from tasks.cli.command import Command
from tasks.cli.graph import downstream, needs, remove_artifacts, walk
from tasks.full_pipeline import FullPipeline


class Invalidate(Command):
    """Prints and deletes the stage's artifacts under the current configuration, and all that was made from them."""

    stage = luigi.Parameter(description="name of a stage, such as TrainModel")
    dry_run = luigi.BoolParameter(description="print only")

    def act(self) -> None:
        """Prints and deletes.

        Raises:
            ConfigurationError: the pipeline has no such stage, or one of the artifacts is being made right now.
        """
        pipeline = FullPipeline()
        below = [task for depth, task, first in walk(pipeline) if first and depth > 0]
        chosen = {task.key for task in below if task.stage == self.stage}
        if not chosen:
            names = sorted({task.stage for task in below})
            raise ConfigurationError(f"The pipeline has no stage {self.stage!r}; its stages are {', '.join(names)}.")
        on_disk = downstream(chosen, Path(pipeline.data_dir) / pipeline.dataset)
        begun = [task.directory for task in below if task.directory.exists() and needs(task, chosen)]
        directories = list(dict.fromkeys([*on_disk, *begun]))
        for directory in directories:
            print(f"{'would delete' if self.dry_run else 'deleting'} {directory}")
        if not directories:
            print(f"{self.stage} has no artifact.")
        if not self.dry_run:
            remove_artifacts(directories)
