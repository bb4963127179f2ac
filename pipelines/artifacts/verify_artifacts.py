"""Integrity of all artifacts of a data directory."""

from collections.abc import Iterator
from pathlib import Path

from schemas.errors import ArtifactError
from schemas.io.files import digest_files
from schemas.provenance import FILE_NAME, Provenance, artifact_key, find_damage, read_provenance


def verify_artifacts(data_dir: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield each complete artifact of every dataset with a sentence about its damage, or None.

    Files, keys and inputs are compared with the recorded checksums. An input that was removed since is not damage.
    """
    for mark in sorted(data_dir.glob(f"*/*/*/{FILE_NAME}")):
        directory = mark.parent
        try:
            problem = _find_problem(directory, read_provenance(directory))
        except ArtifactError as error:
            yield directory, str(error)
        else:
            yield directory, problem and f"{directory} is not as it was made: {problem}."


def _find_problem(directory: Path, made: Provenance) -> str | None:
    upstream = {name: each.key for name, each in made.upstream.items() if each.in_key}
    key = artifact_key(made.stage, made.version, made.parameters, upstream)
    if (directory.parent.name, directory.name) != (made.stage, key) or made.key != key:
        return f"its provenance is that of {made.stage} {key}"
    if made.digest != digest_files(made.files):
        return "the digest in its provenance is not that of its files"
    if damage := find_damage(directory, made):
        return damage
    for name, used in made.upstream.items():
        source = directory.parents[1] / used.stage / used.key
        if (source / FILE_NAME).is_file() and read_provenance(source).digest != used.digest:
            return f"it was made from other {name} than {source} holds by now"
    return None
