"""Preparation of the `luigi` command, at the only moment that Luigi leaves for it: the import of `--module tasks`."""

import argparse
import re
import sys
from pathlib import Path
from types import TracebackType

from luigi.task_register import Register, TaskClassNotFoundException

from schemas.errors import ConfigurationError
from tasks.configuration import check_configuration, describe_rename, suggest
from tasks.runtime.console import report_interrupt
from tasks.runtime.encoding import make_output_safe, use_utf8
from tasks.stages import STAGES, load_stages


def prepare() -> None:
    """Load the stages; in the `luigi` command, also check all names and report errors in one sentence.

    Raises:
        ConfigurationError: A configuration file is missing, malformed or has an unknown name, or the command line has
            an unknown option.
    """
    is_command = Path(sys.argv[0]).name in ("luigi", "luigi.exe") or sys.argv[0].endswith("luigi/__main__.py")
    if is_command:
        use_utf8()
        sys.excepthook = report_uncaught
        make_output_safe()
    load_stages()
    if is_command and _module(sys.argv[1:]) == "tasks":  # stages of other modules are not registered yet
        check_configuration()
        check_arguments(sys.argv[1:])


def report_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Report an uncaught error as `sys.excepthook`; an unknown stage as one sentence with the nearest name.

    Args:
        kind: Type of the error.
        error: The error.
        traceback: Its traceback.
    """
    if isinstance(error, TaskClassNotFoundException) and (found := re.match(r"No task (\S+?)\. ", str(error))):
        print(describe_unknown_stage(found[1]), file=sys.stderr)
    else:
        report_interrupt(kind, error, traceback)


def describe_unknown_stage(name: str) -> str:
    """Return one sentence that gives the new name of a renamed stage, or the nearest name."""
    return describe_rename(name, STAGES) or f"There is no stage {name}{suggest(name, STAGES)}"


def check_arguments(arguments: list[str]) -> None:
    """Check that every option of a `luigi` command line exists.

    Raises:
        ConfigurationError: One does not; the message gives the nearest.
    """
    root = next((argument for argument in arguments if argument in Register.task_names()), None)
    flags = set()
    for task, without_section, name, _ in Register.get_all_params():
        flag = name.replace("_", "-")
        flags.add(f"--{flag}" if without_section else f"--{task}-{flag}")
        if task == root:
            flags.add(f"--{flag}")
    for argument in arguments:
        flag = argument.partition("=")[0]
        if not flag.startswith("--") or flag in flags:
            continue
        if len([each for each in flags if each.startswith(flag)]) == 1:  # argparse takes it for an abbreviation
            continue
        task, _, name = flag.removeprefix("--").partition("-")
        renamed = describe_rename(f"{task}.{name.replace('-', '_')}", _dotted_names())
        raise ConfigurationError(renamed or f"There is no option {flag}{suggest(flag, flags)}")


def _dotted_names() -> set[str]:
    return {f"{task}.{name}" for task, _, name, _ in Register.get_all_params()}


def _module(arguments: list[str]) -> str | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--module")
    module: str | None = parser.parse_known_args(arguments)[0].module
    return module
