"""Uploads a release to any place that Beam's file systems reach: this disk, gs, s3, hdfs."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipelines.release.layout import SUMS, read_sums
from schemas.errors import ConfigurationError, UploadError
from schemas.io.files import digest_stream

_AS_IT_IS = CompressionTypes.UNCOMPRESSED


def is_published(directory: Path, url: str) -> bool:
    """Whether the release in `directory` is at `url` as a whole.

    Raises:
        ConfigurationError: another release is there, or no file system knows such addresses.
        UploadError: the place cannot be reached.
    """
    with _reaching(url):
        index = _join(url, SUMS)
        if not FileSystems.exists(index):
            return False
        with FileSystems.open(index, compression_type=_AS_IT_IS) as stream:
            same = stream.read() == (directory / SUMS).read_bytes()
    if not same:
        raise ConfigurationError(f"{url} holds another release; give an empty folder, or remove that one first.")
    return True


def publish(directory: Path, url: str, progress: Callable[[float, str], None]) -> int:
    """Uploads the release in `directory`; its index, `SHA256SUMS`, appears last. Returns how many files were sent.

    What an interrupted upload left is kept if its digest is right.

    Raises:
        ConfigurationError, UploadError: as of `is_published`.
    """
    if is_published(directory, url):
        return 0
    sums = read_sums(directory)
    sent = 0
    with _reaching(url):
        for number, (name, digest) in enumerate(sums.items()):
            progress(number / len(sums), name)
            if not _keep(_join(url, name), digest):
                _send(directory / name, _join(url, name))
                sent += 1
        _send(directory / SUMS, _join(url, SUMS))
    return sent + 1


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # no file system for the scheme
        raise ConfigurationError(
            f"{url} cannot be published to ({error}); install the extra `gcp` or `aws`, or give a folder."
        ) from error
    except (BeamIOError, OSError) as error:
        raise UploadError(f"{url} cannot be reached or written ({error}); start again to go on.") from error


def _join(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{name}"


def _keep(path: str, digest: str) -> bool:
    """Whether the file is there as it should be; another one in its place is removed."""
    if not FileSystems.exists(path):
        return False
    with FileSystems.open(path, compression_type=_AS_IT_IS) as stream:
        same = digest_stream(stream) == digest
    if not same:
        FileSystems.delete([path])
    return same


def _send(source: Path, target: str) -> None:
    temporary = f"{target}.part"
    with open(source, "rb") as content, FileSystems.create(temporary, compression_type=_AS_IT_IS) as stream:
        shutil.copyfileobj(content, stream, 1 << 20)
    FileSystems.rename([temporary], [target])
