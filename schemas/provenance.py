"""`provenance.json`: what made an artifact. Written last, it is also the mark that the artifact is complete."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError
from schemas.files import canonical_json, digest_file, read_json, sync_directory, write_json

FILE_NAME = "provenance.json"
KEY_DIGITS = 10


@dataclass(frozen=True)
class Upstream:
    """An artifact that was read: its stage, key and content digest."""

    stage: str
    key: str
    digest: str


@dataclass(frozen=True)
class Provenance:
    """How an artifact came to be.

    digest: content digest, see `digest_files`; files: name -> {"sha256", "size"} of the files that it covers; started:
    ISO 8601 with UTC offset; seconds: wall time; peak_memory_bytes: largest resident set of the stage's processes.
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


def artifact_key(stage: str, version: int, parameters: dict[str, Any], upstream_keys: dict[str, str]) -> str:
    """10 hex digits that name an artifact by all that determines its content."""
    identity = {"stage": stage, "version": version, "parameters": parameters, "upstream": upstream_keys}
    return hashlib.sha256(canonical_json(identity).encode("utf-8")).hexdigest()[:KEY_DIGITS]


def list_files(directory: Path, patterns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Digest and size of the files below `directory` that match one of the glob patterns, by relative name."""
    found = {path for pattern in patterns for path in directory.glob(pattern) if path.is_file()}
    return {
        path.relative_to(directory).as_posix(): {"sha256": digest_file(path), "size": path.stat().st_size}
        for path in sorted(found)
        if path.name != FILE_NAME and not path.name.startswith(".")
    }


def digest_files(files: dict[str, dict[str, Any]]) -> str:
    """One digest for a set of files: SHA-256 over their names and digests."""
    return hashlib.sha256(canonical_json({name: each["sha256"] for name, each in files.items()}).encode()).hexdigest()


def write_provenance(directory: Path, provenance: Provenance) -> None:
    """Completes the artifact: what it holds is synced to disk, then the mark appears by rename."""
    for name in provenance.files:
        sync_directory((directory / name).parent)
    write_json(directory / FILE_NAME, asdict(provenance))


def read_provenance(directory: Path) -> Provenance:
    """Reads the provenance of a complete artifact; raises ArtifactError if it is missing or malformed."""
    record = read_json(directory / FILE_NAME)
    try:
        upstream = {name: Upstream(**each) for name, each in record["upstream"].items()}
        return Provenance(**{**record, "upstream": upstream})
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"{directory / FILE_NAME} is not a provenance record ({error}); remove {directory}."
        ) from error


def is_complete(directory: Path) -> bool:
    """Whether the artifact in `directory` is whole."""
    return (directory / FILE_NAME).is_file()
