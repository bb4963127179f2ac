"""Upload of a release to a directory or to a store of objects."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines import storage
from pipelines.release.layout import SUMS, read_sums
from schemas.errors import ConfigurationError, UploadError


def is_published(directory: Path, url: str) -> bool:
    """Return whether the release has been uploaded completely.

    Args:
        directory: The release.
        url: Directory or URL that it is published to.

    Raises:
        ConfigurationError: `url` contains another release, or no file system supports it.
        UploadError: `url` cannot be reached.
    """
    with _translate_errors(url):
        try:
            found = storage.read(storage.join(url, SUMS))
        except FileNotFoundError:
            return False
    if found != (directory / SUMS).read_bytes():
        raise ConfigurationError(f"{url} contains another release; choose an empty directory, or delete that release.")
    return True


def publish(directory: Path, url: str, progress: Callable[[float, str], None]) -> int:
    """Upload a release; `SHA256SUMS` is uploaded last. Files of an interrupted upload with the right digest are kept.

    Args:
        directory: The release.
        url: Directory or URL to publish to.
        progress: Called with the completed fraction and the name of the current file.

    Returns:
        The number of files that were uploaded.

    Raises:
        ConfigurationError: `url` contains another release, or no file system supports it.
        UploadError: `url` cannot be reached or written.
    """
    if is_published(directory, url):
        return 0
    sums = read_sums(directory)
    sent = 0
    with _translate_errors(url):
        for number, (name, digest) in enumerate(sums.items()):
            progress(number / len(sums), name)
            target = storage.join(url, name)
            if not _has_digest(target, digest):
                storage.upload(directory / name, target)
                sent += 1
        storage.upload(directory / SUMS, storage.join(url, SUMS))
    return sent + 1


@contextmanager
def _translate_errors(url: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UploadError(f"{url} cannot be reached or written ({error}); run the command again to resume.") from error


def _has_digest(path: str, digest: str) -> bool:
    try:
        return storage.digest(path) == digest
    except FileNotFoundError:
        return False
