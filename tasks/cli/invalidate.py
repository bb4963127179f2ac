"""`mrnn invalidate`: delete a stage's artifact and all that depend on it."""

from pathlib import Path
from typing import Annotated

import typer

from tasks.cli.options import ConfigOption, Settings, StageArgument


def invalidate(
    stage: StageArgument,
    config: ConfigOption = None,
    settings: Settings = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only print what would be deleted.")] = False,
) -> None:
    """Delete a stage's artifacts and all that depend on them.

    The artifacts are those of the configuration. Nothing is deleted while one of them is being computed.
    """
    from schemas.errors import ConfigurationError
    from tasks.cli.graph import downstream, inputs_first, needs, remove_artifacts
    from tasks.cli.pipeline import check_stage, open_configuration, parsed

    check_stage(stage)
    stages = open_configuration(config)
    with parsed(settings):
        pipeline = stages["FullPipeline"]()
        *required, _ = inputs_first(pipeline)
        chosen = {task.key for task in required if task.stage == stage}
        if not chosen:
            names = sorted({task.stage for task in required})
            raise ConfigurationError(f"This pipeline does not need {stage}; its stages are {', '.join(names)}.")
        on_disk = downstream(chosen, Path(pipeline.data_dir) / pipeline.dataset)
        partial = [task.directory for task in required if task.directory.exists() and needs(task, chosen)]
    directories = list(dict.fromkeys([*on_disk, *partial]))
    for directory in directories:
        print(f"{'would delete' if dry_run else 'deleting'} {directory}")
    if not directories:
        print(f"{stage} has no artifact.")
    if not dry_run:
        remove_artifacts(directories)
