"""`provenance.json`: origin of an artifact. It is written last and marks the artifact as complete.

It contains a checksum of each file of the artifact and of itself.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError
from schemas.io.files import canonical_json, digest_file, read_json, sync_directory, write_json

FILE_NAME = "provenance.json"
KEY_DIGITS = 10


@dataclass(frozen=True)
class Upstream:
    """An artifact that was read.

    Attributes:
        stage: Its stage.
        key: Its key.
        digest: Its content digest.
        in_key: Whether the key of the reading artifact depends on its key; if not, a parameter of that artifact has
            the digest of what was used of it.
    """

    stage: str
    key: str
    digest: str
    in_key: bool = True


@dataclass(frozen=True)
class Provenance:
    """Origin of an artifact.

    Attributes:
        key: Key of the artifact, see `artifact_key`.
        stage: Name of the stage.
        version: Version of the stage's computation.
        dataset: Name of the dataset.
        parameters: Parameters that determine the content.
        upstream: Artifacts that were read, by name.
        digest: Content digest, see `digest_files`.
        files: `sha256` and `size` in bytes of the files of the content, by name.
        software: Versions of Python and of packages, by name.
        git: Commit of the code and whether it was modified, or None outside a repository.
        host: Description of the machine.
        started: Start, ISO 8601 with UTC offset.
        seconds: Wall time in seconds.
        peak_memory_bytes: Largest resident set of the stage's processes, in bytes.
        counts: Numbers that the stage reports, by name.
        operational: Non-significant parameters.
        beside: Like `files`, for files that are not content, because they contain times.
    """

    key: str
    stage: str
    version: int
    dataset: str
    parameters: dict[str, Any]
    upstream: dict[str, Upstream]
    digest: str
    files: dict[str, dict[str, Any]]
    software: dict[str, str]
    git: dict[str, Any] | None
    host: dict[str, Any]
    started: str
    seconds: float
    peak_memory_bytes: int
    counts: dict[str, Any]
    operational: dict[str, Any]
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)


def artifact_key(stage: str, version: int, parameters: dict[str, Any], upstream_keys: dict[str, str]) -> str:
    """Compute the key of an artifact from everything that determines its content.

    Args:
        stage: Name of the stage.
        version: Version of the stage's computation.
        parameters: Its significant parameters.
        upstream_keys: Keys of the artifacts that it reads, by name.

    Returns:
        10 hex digits.
    """
    identity = {"stage": stage, "version": version, "parameters": parameters, "upstream": upstream_keys}
    return hashlib.sha256(canonical_json(identity).encode("utf-8")).hexdigest()[:KEY_DIGITS]


def list_files(
    directory: Path, patterns: tuple[str, ...], digests: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return digest and size of the files below `directory` that match one of the glob patterns.

    Args:
        directory: Directory of the artifact.
        patterns: Glob patterns.
        digests: SHA-256 of files that their writers have computed, by relative name; these are not read, and marked by
            `"check": "size"`.

    Returns:
        `sha256` and `size` by relative name.
    """
    found = {path for pattern in patterns for path in directory.glob(pattern) if path.is_file()}
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(found):
        name = path.relative_to(directory).as_posix()
        if path.name == FILE_NAME or path.name.startswith("."):
            continue
        known = (digests or {}).get(name)
        files[name] = {"sha256": known or digest_file(path), "size": path.stat().st_size}
        if known:
            files[name]["check"] = "size"
    return files


def write_provenance(directory: Path, provenance: Provenance) -> None:
    """Complete the artifact: sync its files to disk, then write the provenance by rename."""
    for name in provenance.files:
        sync_directory((directory / name).parent)
    record = asdict(provenance)
    write_json(directory / FILE_NAME, {**record, "seal": _seal(record)})


def read_provenance(directory: Path) -> Provenance:
    """Read the provenance of a complete artifact.

    Raises:
        ArtifactError: It is missing, malformed or was changed.
    """
    path = directory / FILE_NAME
    record = read_json(path)
    try:
        seal = record.pop("seal", None)  # records of earlier versions have none
        if seal not in (None, _seal(record)):
            raise ArtifactError(f"{path} was changed after it was written; remove {directory} and run its stage again.")
        upstream = {name: Upstream(**each) for name, each in record["upstream"].items()}
        return Provenance(**{**record, "upstream": upstream})
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path} is not a provenance record ({error}); remove {directory}.") from error


def find_damage(directory: Path, provenance: Provenance, read_all: bool = True) -> str | None:
    """Verify the artifact's files.

    Files that the provenance does not list, such as the images of the dataset, are not verified.

    Args:
        directory: Directory of the artifact.
        provenance: Its provenance.
        read_all: Whether to read files, too, whose size is enough before they are used, see `list_files`.

    Returns:
        A clause about the first damaged file, or None.
    """
    for name, made in {**provenance.files, **provenance.beside}.items():
        path = directory / name
        try:
            size = path.stat().st_size
            unread = size == made["size"] and not read_all and made.get("check") == "size"
            digest = made["sha256"] if unread else digest_file(path)
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
        if size != made["size"]:
            return f"{name} has {size} bytes and was made with {made['size']}"
        if digest != made["sha256"]:
            return f"{name} has {size} bytes as it should, but others than it was made with"
    return None


def load_verified(directory: Path) -> Provenance:
    """Return the provenance of an artifact after verifying its files.

    Raises:
        ArtifactError: The artifact is missing or damaged; names the file and the fix.
    """
    provenance = read_provenance(directory)
    if damage := find_damage(directory, provenance, read_all=False):
        raise ArtifactError(f"{directory} is damaged: {damage}; remove it and run its stage again.")
    return provenance


def _seal(record: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(record).encode("utf-8")).hexdigest()


def is_complete(directory: Path) -> bool:
    """Return whether the artifact in `directory` is complete."""
    return (directory / FILE_NAME).is_file()
