"""The pipeline of a configuration: its files, parameters set on the command line, and its stages."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import ConfigurationError
from tasks.configuration import (
    VARIABLE,
    check_configuration,
    configuration_files,
    describe_rename,
    find_configuration,
    load_configuration,
    suggest,
)
from tasks.stages import load_stages

if TYPE_CHECKING:
    import luigi


def open_configuration(config: str | None) -> dict[str, Any]:
    """Load the configuration, for this process and for those that it starts; return the stages by name.

    Args:
        config: A file or a packaged name; the file that `LUIGI_CONFIG_PATH` names by default.

    Raises:
        ConfigurationError: A file is missing, malformed or has an unknown name.
    """
    if config is not None:
        os.environ[VARIABLE] = str(find_configuration(config))
    configuration_files()  # before Luigi reads them, for clear error messages
    stages = load_stages()
    load_configuration()
    check_configuration()
    return stages


@contextmanager
def parsed(settings: Sequence[str] | None) -> Iterator[None]:
    """Apply the parameters of `--set` to stages that are created in the block.

    Raises:
        ConfigurationError: There is no such parameter.
    """
    from luigi.cmdline_parser import CmdlineParser

    with CmdlineParser.global_instance(["FullPipeline", *luigi_arguments(settings)]):
        yield


def data_directory(data_dir: Path | None, config: str | None) -> Path:
    """Return `data_dir`, or that of the configuration where none is given."""
    if data_dir is not None:
        return data_dir.expanduser()
    stages = open_configuration(config)
    return Path(stages["FullPipeline"]().data_dir)


def check_stage(name: str) -> None:
    """Raise a ConfigurationError with the nearest name unless there is a stage called `name`."""
    from tasks.stages import STAGES

    if name not in STAGES:
        raise ConfigurationError(describe_rename(name, STAGES) or f"There is no stage {name}{suggest(name, STAGES)}")


def luigi_arguments(settings: Sequence[str] | None) -> list[str]:
    """Convert `STAGE.PARAMETER=VALUE` to options of Luigi's command line.

    A shared section of the configuration, such as `pipeline` or `beam`, sets the parameter of all its stages.

    Raises:
        ConfigurationError: The form is another, or there is no such stage, section or parameter.
    """
    from luigi.task_register import Register

    options: dict[str, list[tuple[str, luigi.Parameter]]] = {}
    for task, without_section, name, parameter in Register.get_all_params():
        flag = "--" + (name if without_section else f"{task}-{name}").replace("_", "-")
        options.setdefault(f"{task}.{name}", []).append((flag, parameter))
        if place := parameter._config_path:  # Luigi has no public name for it
            options.setdefault(f"{place['section']}.{place['name']}", []).append((flag, parameter))
    arguments = []
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or "." not in name:
            raise ConfigurationError(f"--set {setting} does not have the form STAGE.PARAMETER=VALUE.")
        if name not in options:
            raise ConfigurationError(
                describe_rename(name, options) or f"--set: there is no parameter {name}{suggest(name, options)}"
            )
        for flag, parameter in dict(options[name]).items():
            arguments += _argument(flag, parameter, name, value)
    return arguments


def _argument(flag: str, parameter: "luigi.Parameter", name: str, value: str) -> list[str]:
    import luigi

    if isinstance(parameter, luigi.BoolParameter) and parameter.parsing == luigi.BoolParameter.IMPLICIT_PARSING:
        if value.lower() != "true":
            raise ConfigurationError(f"--set: {name} is a flag; its only value is `true`.")
        return [flag]
    return [f"{flag}={value}"]
