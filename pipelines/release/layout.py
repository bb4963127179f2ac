"""Where things are in a release, and which files it consists of."""

from collections.abc import Iterator
from pathlib import Path

from schemas.errors import ArtifactError

SUMS, INDEX, CROISSANT, IMAGES = "SHA256SUMS", "release.json", "croissant.json", "images.jsonl"
KINDS = ("original", "refined")  # of features
AGAIN = "fetch it again with download.sh"


def released_files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Names and paths of all files in a release but `SHA256SUMS` itself and the artifact's own provenance."""
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name not in (SUMS, "provenance.json") and not path.name.startswith("."):
            yield name, path


def read_sums(directory: Path) -> dict[str, str]:
    """Digests (hex) by name from `SHA256SUMS`.

    Raises:
        ArtifactError: it is missing, or a line (named) is malformed or leads out of the folder.
    """
    path = directory / SUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}), so {directory} is no release; {AGAIN}.") from error
    sums = {}
    for number, line in enumerate(lines, start=1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or name.startswith("/") or ".." in name.split("/"):
            raise ArtifactError(f"{path}, line {number}, is not `DIGEST  NAME` but {line[:120]!r}; {AGAIN}.")
        sums[name] = digest
    return sums
