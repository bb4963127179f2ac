"""Options that several subcommands share."""

from pathlib import Path
from typing import Annotated

import typer


def _complete_configuration(incomplete: str) -> list[str]:
    from tasks.configuration import configuration_names

    return [name for name in configuration_names() if name.startswith(incomplete)]


def _complete_stage(incomplete: str) -> list[str]:
    from tasks.stages import STAGES

    return [name for name in STAGES if name.startswith(incomplete)]


CONFIG_HELP = "Configuration: a file, or the name of a packaged one such as flickr8k."

ConfigArgument = Annotated[
    str | None, typer.Argument(metavar="[CONFIG]", help=CONFIG_HELP, autocompletion=_complete_configuration)
]
ConfigOption = Annotated[
    str | None, typer.Option("--config", "-c", help=CONFIG_HELP, autocompletion=_complete_configuration)
]
StageArgument = Annotated[str, typer.Argument(help="Name of a stage.", autocompletion=_complete_stage)]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="STAGE.PARAMETER=VALUE", help="Override a parameter; may be given several times."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Root of all artifacts; default: that of the configuration.")
]
