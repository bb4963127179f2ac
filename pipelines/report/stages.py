"""The artifacts behind a report: those given and, by their provenance, all that they were made from."""

from collections.abc import Iterable
from pathlib import Path

from pipelines.report.contents import StageEntry
from schemas.provenance import is_complete, read_provenance


def walk_stages(directories: Iterable[Path]) -> tuple[StageEntry, ...]:
    """The artifacts in `directories` and everything upstream; what an artifact was made from comes before it.

    An upstream artifact that was not given is looked for where the others lie, at
    `<data_dir>/<dataset>/<stage>/<key>`; one that was deleted since is an entry without provenance.

    Raises:
        ArtifactError: one of `directories` is not a complete artifact.
    """
    given: dict[tuple[str, str], Path] = {}
    for directory in directories:
        provenance = read_provenance(directory)
        given[provenance.stage, provenance.key] = directory
    entries: dict[tuple[str, str], StageEntry] = {}

    def visit(stage: str, key: str, directory: Path) -> None:
        if (stage, key) in entries:
            return
        if not is_complete(directory):
            entries[stage, key] = StageEntry(stage, key, provenance=None)
            return
        provenance = read_provenance(directory)
        for _, upstream in sorted(provenance.upstream.items()):
            identity = (upstream.stage, upstream.key)
            visit(*identity, given.get(identity, directory.parent.parent / upstream.stage / upstream.key))
        entries[stage, key] = StageEntry(stage, key, provenance)

    for (stage, key), directory in given.items():
        visit(stage, key, directory)
    return tuple(entries.values())
