"""Gets published files: from mirrors first, resuming what was begun, and never a byte that was not promised."""

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

import requests
import tenacity
import urllib3

from pipelines.datasets.base import Archive, Progress
from pipelines.meter import Meter
from schemas.errors import ArtifactError, DownloadError
from schemas.files import digest_file, read_json, sync_directory, write_json

CHUNK_BYTES = 1 << 18
SPARE_BYTES = 64 << 20  # left free on the disk
_MAGIC = {  # suffix -> (offset, what may stand there)
    ".zip": (0, (b"PK\x03\x04", b"PK\x05\x06")),
    ".tar": (257, (b"ustar", b"\x00\x00\x00\x00\x00")),  # the second before POSIX
    ".gz": (0, (b"\x1f\x8b",)),
    ".tgz": (0, (b"\x1f\x8b",)),
    ".bz2": (0, (b"BZh",)),
    ".xz": (0, (b"\xfd7zXZ\x00",)),
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Downloaded:
    """A verified file: where it lies, where it came from, its size in bytes and its SHA-256 in hex."""

    path: Path
    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Patience:
    """How long to try one source: tries in a row that bring nothing, and times in seconds."""

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    connect_timeout: float = 15.0
    read_timeout: float = 60.0


class _Unusable(Exception):
    """This source will not do; the next may."""


class _Transient(Exception):
    """This try failed; the same source may do better on the next."""


def fetch(
    archive: Archive,
    directory: Path,
    mirrors: Sequence[str],
    progress: Progress,
    patience: Patience = Patience(),
) -> Downloaded:
    """Gets `archive` from the first source that has it whole.

    Sources are what lies in `directory` already, the mirrors (the archive's name is appended to each) and the archive's
    own addresses, in this order. A mirror is an address (`http://`, `https://`, `file://`) or a folder. A file on a
    local disk is verified and used where it lies, not copied. Downloads go to `directory/NAME.part` and are resumed
    there, also by a later call.

    Raises:
        DownloadError: no source has the file; says what was tried and why each failed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    failures = []
    for source in _sources(archive, directory, mirrors):
        try:
            if isinstance(source, Path):
                progress(0.0, f"{archive.name}: checking {source}")
                size, sha256 = _verify(source, archive)
                path = source
            else:
                part = _download(source, archive, directory, progress, patience)
                progress(1.0, f"{archive.name}: checking the download")
                size, sha256 = _verify_part(part, archive)
                path = directory / archive.name
                _keep(part, path)
            progress(1.0, f"{archive.name}: complete")
            return Downloaded(path, source.as_uri() if isinstance(source, Path) else source, size, sha256)
        except (_Unusable, _Transient) as failure:
            _log.warning("%s: %s: %s", archive.name, source, failure)
            failures.append(f"{source} ({failure})")
    tried = "; ".join(failures) or "no address is known"
    raise DownloadError(
        f"{archive.name} could not be had: {tried}. Get it by hand into a folder and name that as a mirror."
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
    """The absolute path that a folder name or a `file://` address means; None for addresses on the network."""
    if source.startswith("file://"):
        return Path(url2pathname(urlsplit(source).path)).absolute()
    return None if "://" in source else Path(source).expanduser().absolute()


def _verify(path: Path, archive: Archive) -> tuple[int, str]:
    """Size and SHA-256 of a file that is what `archive` promises; raises _Unusable for any other."""
    if not path.is_file():
        raise _Unusable("there is no such file")
    try:
        size = path.stat().st_size
        if archive.size is not None and size != archive.size:
            raise _Unusable(f"it has {size} bytes instead of {archive.size}")
        _check_magic(path, archive.name)
        sha256 = digest_file(path)
    except OSError as error:
        raise _Unusable(f"it cannot be read: {error.strerror}") from error
    if archive.sha256 is not None and sha256 != archive.sha256.lower():
        raise _Unusable(f"its SHA-256 is {sha256} instead of {archive.sha256}")
    return size, sha256


def _verify_part(part: Path, archive: Archive) -> tuple[int, str]:
    """As `_verify`; what is not the promised file is removed, since resuming it is no use."""
    try:
        return _verify(part, archive)
    except _Unusable:
        part.unlink(missing_ok=True)
        _notes(part).unlink(missing_ok=True)
        raise


def _check_magic(path: Path, name: str) -> None:
    """Tells an archive from the error page that some servers send in its place with status 200."""
    suffix = Path(name).suffix.lower()
    if suffix not in _MAGIC:
        return
    offset, signatures = _MAGIC[suffix]
    with open(path, "rb") as stream:
        head = stream.read(512)
    if not head[offset:].startswith(signatures):
        page = head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))
        raise _Unusable(f"it is {'a web page' if page else 'something else'}, not a {suffix} file")


def _keep(part: Path, path: Path) -> None:
    with open(part, "rb") as written:
        os.fsync(written.fileno())
    part.replace(path)
    sync_directory(path.parent)
    _notes(part).unlink(missing_ok=True)


def _download(url: str, archive: Archive, directory: Path, progress: Progress, patience: Patience) -> Path:
    """Brings `url` to the `.part` file, in as many tries as `patience` grants, counted anew after any that helped."""
    part = directory / f"{archive.name}.part"

    def tell(state: tenacity.RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        _log.info("%s: %s: %s; again in %.1f s", archive.name, url, failure, wait)
        fraction = min(1.0, _size(part) / archive.size) if archive.size else 0.0
        progress(fraction, f"{archive.name}: {failure}; next try in {wait:.0f} s")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Transient),
        stop=tenacity.stop_after_attempt(patience.attempts),
        wait=tenacity.wait_exponential(multiplier=patience.first_wait, max=patience.longest_wait),
        before_sleep=tell,
        reraise=True,
    )
    while True:
        before = _size(part)
        try:
            retrying(_receive, url, part, archive, progress, patience)
        except _Transient:
            # A long transfer over a bad line goes on as long as the part grows.
            if _size(part) <= before:
                raise
        else:
            return part


def _receive(url: str, part: Path, archive: Archive, progress: Progress, patience: Patience) -> None:
    """One request: appends to `part` what is missing, or begins it anew if it cannot be resumed."""
    notes = _resumable(part, url)
    start = _size(part) if notes else 0
    if notes and start == notes["size"]:
        return  # stopped between the last byte and the check
    headers = {"Accept-Encoding": "identity"}
    if notes:
        headers |= {"Range": f"bytes={start}-", "If-Range": notes["validator"]}
    timeout = (patience.connect_timeout, patience.read_timeout)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            start, size = _judge(response, start, part)
            if archive.size is not None and size is not None and size != archive.size:
                raise _Unusable(f"it offers {size} bytes instead of {archive.size}")
            _require_space(part, (size or archive.size or 0) - start)
            if start == 0:
                _begin(part, url, response, size)
            _append(response, part, Meter(progress, archive.name, size or archive.size, start))
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        cause = getattr(error.args[0], "reason", error) if error.args else error
        raise _Transient(f"the connection failed: {cause}") from error
    except requests.RequestException as error:
        raise _Unusable(str(error)) from error
    except OSError as error:  # a full disk, say; another source would not help
        raise DownloadError(f"Downloading to {part} failed ({error}); mend that and start again.") from error
    received = _size(part)
    if size is not None and received != size:
        raise _Transient(f"{received} of {size} bytes came")


def _judge(response: requests.Response, start: int, part: Path) -> tuple[int, int | None]:
    """(byte at which the body begins, size of the whole file if known) of an answer that is of use."""
    status = f"the server says {response.status_code} {response.reason}"
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    if response.status_code in (206, 416):
        unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
        span, _, size = extent.partition("/")
        if response.status_code == 206 and start and unit == "bytes" and span.partition("-")[0] == str(start):
            return start, int(size) if size.isdecimal() else None
        # Another range than was asked for, or none: what is there cannot be continued here.
        _notes(part).unlink(missing_ok=True)
        if start:
            raise _Transient(f"{status} for bytes from {start} and sends {extent or 'no range'}")
    if response.status_code in (408, 429) or response.status_code >= 500:
        raise _Transient(status)
    raise _Unusable(status)


def _begin(part: Path, url: str, response: requests.Response, size: int | None) -> None:
    """Empties `part` and notes beside it what the server calls this version of the file."""
    _notes(part).unlink(missing_ok=True)
    part.write_bytes(b"")
    etag = response.headers.get("ETag", "")
    # A weak tag promises the same meaning, not the same bytes.
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
    if validator:
        write_json(_notes(part), {"url": url, "validator": validator, "size": size})


def _append(response: requests.Response, part: Path, meter: Meter) -> None:
    with open(part, "ab") as stream:
        # The bytes as sent: what a server labels `Content-Encoding: gzip` may be the .gz itself.
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
            stream.write(chunk)
            meter.update(stream.tell())


def _resumable(part: Path, url: str) -> dict[str, Any] | None:
    """The notes on a part that `url` may continue; without a name for its version it would be a gamble."""
    if not _size(part) or not _notes(part).exists():
        return None
    try:
        notes = read_json(_notes(part))
    except ArtifactError:
        return None
    return notes if isinstance(notes, dict) and notes.get("url") == url else None


def _require_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free - SPARE_BYTES:
        raise DownloadError(
            f"{part.name} needs {needed / 1e9:.1f} GB more and {part.parent} has {free / 1e9:.1f} GB free; "
            "free some or choose another folder."
        )


def _notes(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
