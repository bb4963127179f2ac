"""Input files of workers: where the driver has them, or copied to a directory that workers can reach.

Copies are named by their content, so that they are sent once. A machine downloads them once into a cache, which its
processes share. What none of them has used for a day is removed from there when something else is downloaded.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from pipelines import storage
from schemas.errors import ArtifactError, ResourceError
from schemas.io.files import canonical_json, digest_file

UNUSED_SECONDS = 86_400.0
_PARTIAL = ".partial"


@dataclass(frozen=True)
class InputFiles:
    """Files that a worker reads.

    Attributes:
        directory: Local directory, or path or URL of the copy.
        copied: Name, size in bytes and SHA-256 of each file of the copy; none if workers see the driver's directory.
    """

    directory: str
    copied: tuple[tuple[str, int, str], ...] = ()

    def local(self) -> Path:
        """Return a local directory with the files; a copy is downloaded unless this machine's cache has it.

        Raises:
            ArtifactError: A file of the copy is damaged.
            ResourceError: The cache belongs to another user.
            OSError: The copy cannot be read, or the cache cannot be written; of a URL it is a StorageError too.
        """
        if not self.copied:
            return Path(self.directory)
        cache = cache_directory()
        target = cache / self.directory.rpartition("/")[2]
        with FileLock(cache / "lock"):
            if not target.is_dir():
                _clean(cache)
                self._download(cache / _PARTIAL)
                (cache / _PARTIAL).rename(target)
            os.utime(target)
        return target

    def _download(self, directory: Path) -> None:
        for name, _, sha256 in self.copied:
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            storage.download(storage.join(self.directory, name), path)
            if digest_file(path) != sha256:
                raise ArtifactError(f"{storage.join(self.directory, name)} is damaged; remove it and run again.")


def copy_inputs(directory: Path, names: Sequence[str], target: str) -> InputFiles:
    """Copy files to a directory that is named by their content, except those that are there with their size.

    Args:
        directory: Local directory of the files.
        names: Relative names of the files.
        target: Path or URL of the directory of all copies.

    Raises:
        OSError: A file cannot be read, or the target cannot be written; of a URL it is a StorageError too.
    """
    files = tuple((name, (directory / name).stat().st_size, digest_file(directory / name)) for name in names)
    copy = storage.join(target, hashlib.sha256(canonical_json(files).encode()).hexdigest())
    for name, size, _ in files:
        path = storage.join(copy, name)
        folder, _, base = path.rpartition("/")
        if storage.list_files(folder).get(base) != size:
            storage.upload(directory / name, path)
    return InputFiles(copy, files)


def cache_directory() -> Path:
    """Return the directory of the copies on this machine, below the directory for temporary files (`TMPDIR`).

    Raises:
        ResourceError: It belongs to another user, who could change the files.
    """
    directory = Path(tempfile.gettempdir()) / f"m-rnn-inputs-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.lstat().st_uid != os.getuid():
        raise ResourceError(f"{directory} belongs to another user; set TMPDIR to a directory of your own.")
    return directory


def _clean(cache: Path) -> None:
    """Remove an interrupted download, and copies that were not used for long."""
    for copy in cache.iterdir():
        if copy.is_dir() and (copy.name == _PARTIAL or time.time() - copy.stat().st_mtime > UNUSED_SECONDS):
            shutil.rmtree(copy, ignore_errors=True)
