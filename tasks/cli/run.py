"""`mrnn run`: the pipeline, or one stage with all that it requires."""

from typing import Annotated

import typer

from tasks.cli.options import ConfigArgument, Settings, _complete_stage


def run(
    config: ConfigArgument = None,
    stage: Annotated[
        str | None, typer.Argument(help="Name of a stage; default: FullPipeline.", autocompletion=_complete_stage)
    ] = None,
    settings: Settings = None,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Maximum number of concurrent stages.")] = 1,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the messages of all libraries.")] = False,
) -> None:
    """Run the pipeline or one stage, computing only what is missing.

    Equivalent to `luigi --module tasks STAGE`. Exit codes: 0 success, 1 wrong configuration, 2 usage; of a run: 10
    computed by another worker, 20 missing data, 25 not run, 30 a stage failed, 35 scheduling error, 40 other error.
    """
    from schemas.errors import ConfigurationError
    from tasks import STAGES
    from tasks.cli.pipeline import check_stage, luigi_arguments, open_configuration
    from tasks.configuration import configuration_names, describe_rename, is_configuration, suggest

    if config is not None and stage is None and not is_configuration(config):
        if config not in STAGES:
            names = [*STAGES, *configuration_names()]
            raise ConfigurationError(
                describe_rename(config, STAGES)
                or f"There is no configuration or stage {config}{suggest(config, names)}"
            )
        config, stage = None, config
    stage = stage or "FullPipeline"
    check_stage(stage)
    open_configuration(config)
    from luigi.retcodes import run_with_retcodes

    arguments = ["--module", "tasks", stage, f"--workers={workers}", *luigi_arguments(settings)]
    if verbose:
        arguments.append("--verbose")
    run_with_retcodes(arguments)
