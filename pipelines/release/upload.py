"""Upload of a release to any of Beam's file systems: local, gs, s3, hdfs."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipelines.release.layout import SUMS, read_sums
from schemas.errors import ConfigurationError, UploadError
from schemas.io.files import digest_stream

_UNCOMPRESSED = CompressionTypes.UNCOMPRESSED


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
        index = _join(url, SUMS)
        if not FileSystems.exists(index):
            return False
        with FileSystems.open(index, compression_type=_UNCOMPRESSED) as stream:
            same = stream.read() == (directory / SUMS).read_bytes()
    if not same:
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
            if not _keep(_join(url, name), digest):
                _send(directory / name, _join(url, name))
                sent += 1
        _send(directory / SUMS, _join(url, SUMS))
    return sent + 1


@contextmanager
def _translate_errors(url: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # no file system for the scheme
        raise ConfigurationError(
            f"No file system supports {url} ({error}); install the extra `gcp` or `aws`, or choose a directory."
        ) from error
    except (BeamIOError, OSError) as error:
        raise UploadError(f"{url} cannot be reached or written ({error}); run the command again to resume.") from error


def _join(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{name}"


def _keep(path: str, digest: str) -> bool:
    """Return whether the file exists with this digest; a different file in its place is deleted."""
    if not FileSystems.exists(path):
        return False
    with FileSystems.open(path, compression_type=_UNCOMPRESSED) as stream:
        same = digest_stream(stream) == digest
    if not same:
        FileSystems.delete([path])
    return same


def _send(source: Path, target: str) -> None:
    temporary = f"{target}.part"
    with open(source, "rb") as content, FileSystems.create(temporary, compression_type=_UNCOMPRESSED) as stream:
        shutil.copyfileobj(content, stream, 1 << 20)
    FileSystems.rename([temporary], [target])
