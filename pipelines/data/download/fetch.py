"""Download of published files: mirrors first, several at once, each verified before it is used."""

import logging
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

import filelock

from pipelines.data.dataset import Archive, Progress
from pipelines.data.download.http import RetryPolicy, SourceError, download, metadata_path, require_space, size_of
from pipelines.data.download.progress import JointProgress, Stopped
from schemas.errors import ArtifactError, DownloadError
from schemas.io.files import digest_file, sync_directory, write_text

CHECKSUMS = "SHA256SUMS"
CONNECTIONS = 4  # simultaneous downloads
DEFAULT_POLICY = RetryPolicy()
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")  # what `sha256sum -c` reads
_MAGIC = {  # suffix -> (offset, what is found there)
    ".zip": (0, (b"PK\x03\x04", b"PK\x05\x06")),
    ".tar": (257, (b"ustar", b"\x00\x00\x00\x00\x00")),  # the second before POSIX
    ".gz": (0, (b"\x1f\x8b",)),
    ".tgz": (0, (b"\x1f\x8b",)),
    ".bz2": (0, (b"BZh",)),
    ".xz": (0, (b"\xfd7zXZ\x00",)),
}
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Downloaded:
    """A verified file.

    Attributes:
        path: Location of the file.
        url: Source that it was downloaded from.
        size: Size in bytes.
        sha256: SHA-256 in hex.
    """

    path: Path
    url: str
    size: int
    sha256: str


def fetch_all(
    archives: Sequence[Archive],
    directory: Path,
    mirrors: Sequence[str],
    progress: Progress,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> list[Downloaded]:
    """Fetch archives concurrently; if one fails, the others stop and can be resumed.

    Args:
        archives: Archives, see `fetch`.
        directory: Directory for downloads.
        mirrors: URLs or directories.
        progress: Called with a fraction and a message.
        policy: Retries and timeouts of each source.

    Returns:
        The verified files, in the order of the archives.

    Raises:
        DownloadError: An archive cannot be fetched, or the disk has no room for all of those whose size is known.
    """
    directory.mkdir(parents=True, exist_ok=True)
    missing = [
        archive
        for archive in archives
        if not any(isinstance(source, Path) and source.is_file() for source in _sources(archive, directory, mirrors))
    ]
    needed = sum(max(0, (archive.size or 0) - size_of(_part(archive, directory))) for archive in missing)
    require_space(directory, needed, " and ".join(archive.name for archive in missing))
    joint = JointProgress(progress, [archive.size for archive in archives])
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        fetching = [
            pool.submit(fetch, archive, directory, mirrors, joint.of(index), policy)
            for index, archive in enumerate(archives)
        ]
        wait(fetching, return_when=FIRST_EXCEPTION)
        joint.stop()
        pool.shutdown(cancel_futures=True)
    for failure in [each.exception() for each in fetching if not each.cancelled()]:
        if failure is not None and not isinstance(failure, Stopped):
            raise failure
    return [each.result() for each in fetching]


def fetch(
    archive: Archive,
    directory: Path,
    mirrors: Sequence[str],
    progress: Progress,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> Downloaded:
    """Fetch an archive from the first source that has it complete.

    Sources are a file in `directory`, the mirrors (the archive's name is appended to each), and the archive's own
    URLs, in this order. A file on a local disk is verified and used in place. Downloads are written to
    `directory/NAME.part` and are resumed there, also by a later call. A proxy is taken from the environment.

    Args:
        archive: The archive. Without a SHA-256, that of the directory's SHA256SUMS is used, if any.
        directory: Directory for downloads.
        mirrors: URLs (`http://`, `https://`, `file://`) or directories.
        progress: Called with a fraction and a message.
        policy: Retries and timeouts of each source.

    Raises:
        DownloadError: No source has the file; lists the sources and their errors.
    """
    directory.mkdir(parents=True, exist_ok=True)
    failures = []
    progress(0.0, f"{archive.name}: waiting for its lock")
    with filelock.FileLock(directory / f".{archive.name}.lock"):  # two processes would corrupt one part
        for source in _sources(archive, directory, mirrors):
            try:
                if isinstance(source, Path):
                    found = _verify(source, source.as_uri(), archive, directory, progress)
                else:
                    found = _download(source, archive, directory, progress, policy)
                progress(1.0, f"{archive.name}: complete")
                return found
            except SourceError as failure:
                _log.warning("%s: %s: %s", archive.name, source, failure)
                failures.append(f"{source} ({failure})")
    tried = "; ".join(failures) or "no URL is known"
    raise DownloadError(
        f"{archive.name} could not be downloaded: {tried}. Download it by hand and give its directory as a mirror."
    )


def _sources(archive: Archive, directory: Path, mirrors: Sequence[str]) -> Iterator[Path | str]:
    if (directory / archive.name).exists():
        yield (directory / archive.name).absolute()
    for mirror in mirrors:
        base = _local_path(mirror)
        yield base / archive.name if base else f"{mirror.rstrip('/')}/{quote(archive.name)}"
    for url in archive.urls:
        yield _local_path(url) or url


def _local_path(source: str) -> Path | None:
    """Return the absolute path of a directory name or `file://` URL; None for other URLs."""
    if source.startswith("file://"):
        return Path(url2pathname(urlsplit(source).path)).absolute()
    return None if "://" in source else Path(source).expanduser().absolute()


def _part(archive: Archive, directory: Path) -> Path:
    return directory / f"{archive.name}.part"


def _download(url: str, archive: Archive, directory: Path, progress: Progress, policy: RetryPolicy) -> Downloaded:
    """Download, verify and keep a file; an unexpected file is removed, because it cannot be resumed."""
    part, path = _part(archive, directory), directory / archive.name
    download(url, part, archive.name, archive.size, progress, policy)
    try:
        found = _verify(part, url, archive, directory, progress)
    except SourceError:
        part.unlink(missing_ok=True)
        metadata_path(part).unlink(missing_ok=True)
        raise
    with open(part, "rb") as written:
        os.fsync(written.fileno())
    part.replace(path)
    sync_directory(directory)
    metadata_path(part).unlink(missing_ok=True)
    return Downloaded(path, url, found.size, found.sha256)


def _verify(path: Path, url: str, archive: Archive, directory: Path, progress: Progress) -> Downloaded:
    """Check size, format and SHA-256; raise SourceError unless they are as expected."""
    if not path.is_file():
        raise SourceError("there is no such file")
    try:
        size = path.stat().st_size
        if archive.size is not None and size != archive.size:
            raise SourceError(f"it has {size} bytes instead of {archive.size}")
        _check_format(path, Path(archive.name).suffix.lower())
        progress(0.0, f"{archive.name}: verifying {path}")
        sha256 = digest_file(path)
    except OSError as error:
        raise SourceError(f"it cannot be read: {error.strerror}") from error
    recorded = read_checksums(directory).get(archive.name)
    if archive.sha256 is not None:
        if sha256 != archive.sha256.lower():
            raise SourceError(f"its SHA-256 is {sha256} instead of {archive.sha256}")
    elif recorded is not None and sha256 != recorded:
        raise SourceError(
            f"its SHA-256 is {sha256} instead of {recorded}, as first downloaded; if the publisher has changed it, "
            f"remove its line from {directory / CHECKSUMS}"
        )
    return Downloaded(path, url, size, sha256)


def _check_format(path: Path, suffix: str) -> None:
    """Distinguish an archive from the error page that some servers send in its place with status 200."""
    with open(path, "rb") as stream:
        head = stream.read(512)
    offset, signatures = _MAGIC.get(suffix, (0, (b"",)))
    if not head[offset:].startswith(signatures):
        is_page = head.lstrip().lower().startswith(_PAGES)
        raise SourceError(f"it is {'a web page' if is_page else 'something else'}, not a {suffix} file")
    if suffix == ".zip" and not zipfile.is_zipfile(path):
        raise SourceError("it is truncated: the directory at the end of a .zip file is missing")


def read_checksums(directory: Path) -> dict[str, str]:
    """Return the SHA-256 in hex by file name; empty if nothing was recorded yet.

    Raises:
        ArtifactError: A line is malformed; names it.
    """
    path = directory / CHECKSUMS
    if not path.exists():
        return {}
    checksums = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if not match:
            raise ArtifactError(f"{path}, line {number}, is not `SHA256  NAME`; fix or remove the line.")
        checksums[match[2]] = match[1]
    return checksums


def record_checksum(directory: Path, name: str, sha256: str) -> None:
    """Record a file's digest, which later downloads must have; a digest that is recorded already is kept.

    Args:
        directory: Directory of the SHA256SUMS file.
        name: Name of the file.
        sha256: Its SHA-256 in hex.
    """
    checksums = {name: sha256} | read_checksums(directory)
    write_text(directory / CHECKSUMS, "".join(f"{checksums[each]}  {each}\n" for each in sorted(checksums)))
