"""The graph of stages below a task, and of artifacts on disk."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from schemas.errors import ConfigurationError
from schemas.io.files import read_json
from schemas.provenance import FILE_NAME, Provenance, read_provenance
from tasks.base.stage import Stage
from tasks.runtime.locks import LockedError, artifact_lock
from tasks.runtime.workspace import NOTE, SCRATCH


def walk(task: Stage) -> Iterator[tuple[int, Stage, bool]]:
    """Yields (depth, stage, whether it is the first time) depth first; what a stage requires comes the first time."""
    seen: set[str] = set()

    def visit(stage: Stage, depth: int) -> Iterator[tuple[int, Stage, bool]]:
        first = stage.task_id not in seen
        seen.add(stage.task_id)
        yield depth, stage, first
        if first:
            for required in stage.requires().values():
                yield from visit(required, depth + 1)

    return visit(task, 0)


def needs(task: Stage, keys: set[str]) -> bool:
    """Whether the task's artifact is one of these, or is made from one of them, directly or not."""
    return task.key in keys or any(needs(required, keys) for required in task.requires().values())


def artifacts(dataset_directory: Path) -> list[tuple[Path, Provenance]]:
    """All complete artifacts of a corpus, by path."""
    return [(path.parent, read_provenance(path.parent)) for path in sorted(dataset_directory.glob(f"*/*/{FILE_NAME}"))]


def downstream(keys: set[str], dataset_directory: Path) -> list[Path]:
    """The artifacts with these keys and all that were made or begun from them, whatever the configuration."""
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
    """Deletes artifacts, all marks of completeness before anything else.

    Raises:
        ConfigurationError: one of them is being made right now; nothing is deleted.
    """
    with ExitStack() as locks:
        for directory in directories:
            try:
                locks.enter_context(artifact_lock(directory, wait=False))
            except LockedError as error:
                raise ConfigurationError(f"{directory} is being made by another process; end that first.") from error
        for directory in directories:
            (directory / FILE_NAME).unlink(missing_ok=True)
        for directory in directories:
            shutil.rmtree(directory)
