"""Layout of a release."""

from collections.abc import Iterator
from pathlib import Path

from schemas.errors import ArtifactError

SUMS, INDEX, CROISSANT, IMAGES = "SHA256SUMS", "release.json", "croissant.json", "images.jsonl"
KINDS = ("original", "refined")  # of features
AGAIN = "download it again with download.sh"


def released_files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file of a release, except `SHA256SUMS` itself and the artifact's provenance."""
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name not in (SUMS, "provenance.json") and not path.name.startswith("."):
            yield name, path


def read_sums(directory: Path) -> dict[str, str]:
    """Read the digests (hex) by file name from `SHA256SUMS`.

    Args:
        directory: The release.

    Raises:
        ArtifactError: The file is missing, or a line is malformed or names a file outside the directory.
    """
    path = directory / SUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}), so {directory} is not a release; {AGAIN}.") from error
    sums = {}
    for number, line in enumerate(lines, start=1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or name.startswith("/") or ".." in name.split("/"):
            raise ArtifactError(f"{path}, line {number}, must be `DIGEST  NAME`, not {line[:120]!r}; {AGAIN}.")
        sums[name] = digest
    return sums
