"""`mrnn run`: the pipeline, or one stage with all that it requires."""

import sys
import time
from typing import Annotated

import typer

from tasks.cli.options import ConfigArgument, Settings, _complete_stage

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_STAGES = 10.0  # in which another worker begins its next stage


def run(
    config: ConfigArgument = None,
    stage: Annotated[
        str | None, typer.Argument(help="Name of a stage; default: FullPipeline.", autocompletion=_complete_stage)
    ] = None,
    settings: Settings = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, help="Maximum number of concurrent stages; default: that of [core], 1."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the messages of all libraries.")] = False,
) -> None:
    """Run the pipeline or one stage; finished stages are kept.

    The same as `luigi --module tasks STAGE`, but it waits for stages that another worker of the scheduler computes.
    Exit codes: 0 everything is complete, 1 wrong configuration, 2 usage; of a run: 10 left to another worker, 20
    missing data, 25 not run, 30 a stage failed, 35 scheduling error, 40 other error.
    """
    from schemas.errors import ConfigurationError
    from tasks.cli.pipeline import check_stage, luigi_arguments, open_configuration
    from tasks.configuration import configuration_names, describe_rename, is_configuration, suggest
    from tasks.stages import STAGES

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
    arguments = ["--module", "tasks", stage, *luigi_arguments(settings)]
    if workers:
        arguments.append(f"--workers={workers}")
    if verbose:
        arguments.append("--verbose")
    sys.exit(_run_until_complete(arguments, stage))


def _run_until_complete(arguments: list[str], stage: str) -> int | str | None:
    """Run Luigi until nothing is left that another worker of the same scheduler computes; return the exit code."""
    from luigi.cmdline_parser import CmdlineParser
    from luigi.retcodes import retcode, run_with_retcodes
    from luigi.task_register import Register

    from tasks.cli.graph import inputs_first
    from tasks.runtime.locks import is_locked

    while True:
        try:
            run_with_retcodes(arguments)
        except SystemExit as end:
            code = end.code
        with CmdlineParser.global_instance(arguments):
            if code not in (retcode().already_running, retcode().not_run):
                return code
            stages = inputs_first(Register.get_task_cls(stage)())
        deadline = time.monotonic() + _SECONDS_BETWEEN_STAGES
        while not any(is_locked(each.directory) for each in stages):
            if all(each.complete() for each in stages):
                return 0
            if time.monotonic() > deadline:
                return code
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        while any(is_locked(each.directory) for each in stages):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
