"""`SHA256SUMS` of a download folder: digests that nobody published, as they were when the files first came."""

import re
from pathlib import Path

from schemas.errors import ArtifactError
from schemas.files import write_text

FILE_NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")  # what `sha256sum -c` reads


def read_checksums(directory: Path) -> dict[str, str]:
    """SHA-256 in hex by file name; empty if nothing was recorded yet.

    Raises:
        ArtifactError: a line is malformed; names it.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return {}
    checksums = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if not match:
            raise ArtifactError(f"{path}, line {number}, is not `SHA256  NAME`; mend it or remove the line.")
        checksums[match[2]] = match[1]
    return checksums


def record_checksum(directory: Path, name: str, sha256: str) -> None:
    """Adds a file's digest, to be enforced from now on; one that is there already stays."""
    checksums = {name: sha256} | read_checksums(directory)
    write_text(directory / FILE_NAME, "".join(f"{checksums[each]}  {each}\n" for each in sorted(checksums)))
