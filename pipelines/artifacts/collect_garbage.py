"""Artifacts that no configuration needs."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from schemas.errors import ArtifactError
from schemas.provenance import FILE_NAME, KEY_DIGITS, Provenance, read_provenance

_KEY = re.compile(f"[0-9a-f]{{{KEY_DIGITS}}}")


@dataclass(frozen=True)
class FoundArtifact:
    """A complete artifact.

    Attributes:
        directory: Its directory.
        provenance: Its provenance.
        size: Size of its files in bytes.
        made: Time of completion in seconds since the epoch.
    """

    directory: Path
    provenance: Provenance
    size: int
    made: float


def find_artifacts(data_dir: Path) -> Iterator[FoundArtifact]:
    """Yield the artifacts: directories `<dataset>/<stage>/<key>` that match their provenance and are no links."""
    for path in sorted(data_dir.glob(f"*/*/*/{FILE_NAME}")):
        directory = path.parent
        if any(each.is_symlink() for each in (path, directory, directory.parent, directory.parent.parent)):
            continue
        try:
            provenance = read_provenance(directory)
        except ArtifactError:
            continue
        place = (directory.parent.parent.name, directory.parent.name, directory.name)
        if place == (provenance.dataset, provenance.stage, provenance.key) and _KEY.fullmatch(directory.name):
            files = [file.lstat() for file in directory.rglob("*") if file.is_file()]
            yield FoundArtifact(directory, provenance, sum(file.st_size for file in files), path.lstat().st_mtime)


def find_garbage(artifacts: Sequence[FoundArtifact], reachable: Collection[str], keep: int) -> list[FoundArtifact]:
    """Find the artifacts that are not needed.

    Reachable artifacts, the newest of each stage, and all their inputs are needed.

    Args:
        artifacts: All artifacts of a data directory.
        reachable: Artifacts that configurations need, as `<dataset>/<stage>/<key>`.
        keep: Number of newest artifacts to keep per stage.
    """

    def stage(artifact: FoundArtifact) -> Path:
        return artifact.directory.parent

    kept = {each.directory for each in artifacts if "/".join(each.directory.parts[-3:]) in reachable}
    for _, of_stage in groupby(sorted(artifacts, key=stage), key=stage):
        newest = sorted(of_stage, key=lambda each: (each.made, each.directory), reverse=True)[:keep]
        kept.update(each.directory for each in newest)
    known = {each.directory: each for each in artifacts}
    waiting = list(kept)
    while waiting:
        directory = waiting.pop()
        if directory not in known:
            continue
        for upstream in known[directory].provenance.upstream.values():
            source = directory.parent.parent / upstream.stage / upstream.key
            if source not in kept:
                kept.add(source)
                waiting.append(source)
    return [each for each in artifacts if each.directory not in kept]
