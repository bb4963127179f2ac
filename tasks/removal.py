"""Artifacts are removed together: none is left that looks complete though what it was made from is gone."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import filelock

from schemas.errors import ConfigurationError
from schemas.provenance import FILE_NAME
from tasks.execution import artifact_lock


def remove_artifacts(directories: Sequence[Path]) -> None:
    """Deletes artifacts, all marks of completeness before anything else.

    Raises:
        ConfigurationError: one of them is being made right now; nothing is deleted.
    """
    with ExitStack() as locks:
        for directory in directories:
            try:
                locks.enter_context(artifact_lock(directory).acquire(timeout=0))
            except filelock.Timeout as error:
                raise ConfigurationError(f"{directory} is being made by another process; end that first.") from error
        for directory in directories:
            (directory / FILE_NAME).unlink(missing_ok=True)
        for directory in directories:
            shutil.rmtree(directory)
