"""The graph of stages that a task requires, and of artifacts on disk."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import ConfigurationError
from schemas.io.files import read_json
from schemas.provenance import FILE_NAME, Provenance, read_provenance
from tasks.runtime.locks import LockedError, artifact_lock, is_locked
from tasks.runtime.workspace import NOTE, SCRATCH

if TYPE_CHECKING:
    from tasks.base.stage import Stage  # imports Luigi, which reads the configuration


def inputs_first(root: "Stage") -> list["Stage"]:
    """Return `root` and all stages that it requires, each once, inputs before the stages that read them."""
    found: dict[str, Stage] = {}

    def visit(stage: "Stage") -> None:
        if stage.task_id not in found:
            for required in stage.requires().values():
                visit(required)
            found[stage.task_id] = stage

    visit(root)
    return list(found.values())


def needs(task: "Stage", keys: set[str]) -> bool:
    """Return whether the task's artifact has one of these keys, or depends on such an artifact."""
    return task.key in keys or any(needs(required, keys) for required in task.requires().values())


def artifacts(dataset_directory: Path) -> list[tuple[Path, Provenance]]:
    """Return all complete artifacts of a dataset, by path."""
    return [(path.parent, read_provenance(path.parent)) for path in sorted(dataset_directory.glob(f"*/*/{FILE_NAME}"))]


def downstream(keys: set[str], dataset_directory: Path) -> list[Path]:
    """Return the artifacts with these keys, and all complete or partial artifacts that depend on them."""
    made_from = {
        **{
            note.parents[1]: set(read_json(note)["upstream"])
            for note in dataset_directory.glob(f"*/*/{SCRATCH}/{NOTE}")
        },
        **{
            directory: {each.key for each in made.upstream.values()} for directory, made in artifacts(dataset_directory)
        },
    }
    affected = set(keys)
    while more := {path.name for path, upstream in made_from.items() if affected & upstream} - affected:
        affected |= more
    return sorted(directory for directory in made_from if directory.name in affected)


def remove_artifacts(directories: Sequence[Path]) -> None:
    """Delete artifacts, all provenance files before anything else.

    Raises:
        ConfigurationError: One of them is being computed; nothing is deleted.
    """
    with ExitStack() as locks:
        for directory in directories:
            try:
                locks.enter_context(artifact_lock(directory, wait=False))
            except LockedError as error:
                raise ConfigurationError(f"{directory} is being computed by another process; stop it first.") from error
        for directory in directories:
            (directory / FILE_NAME).unlink(missing_ok=True)
        for directory in directories:
            shutil.rmtree(directory)


def check_idle(data_dir: Path) -> None:
    """Check that no stage is running, because a running stage reads artifacts that are unknown here.

    Raises:
        ConfigurationError: A stage is running.
    """
    for lock in data_dir.glob("*/*/.*.lock"):
        directory = lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))
        if is_locked(directory):
            raise ConfigurationError(f"{directory} is being computed by another process; wait until it has finished.")
