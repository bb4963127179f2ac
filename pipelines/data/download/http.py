"""Resumable HTTP download with retries and timeouts."""

import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests
import urllib3
from requests.adapters import HTTPAdapter

from pipelines.data.dataset import Progress
from pipelines.data.download.progress import Meter
from schemas.errors import ArtifactError, DownloadError
from schemas.io.files import read_json, write_json

CHUNK_BYTES = 1 << 20
SPARE_BYTES = 64 << 20  # left free on the disk
_PASSING = (408, 429, *range(500, 600))  # status codes that a retry may change
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetryPolicy:
    """Retries and timeouts of one source.

    Attributes:
        attempts: Maximum number of consecutive attempts without received bytes.
        first_wait: Seconds before the second attempt; doubled before each further one.
        longest_wait: Maximum wait in seconds, also where the server requests more (Retry-After).
        connect_timeout: Seconds to connect.
        read_timeout: Seconds without a byte.
        least_rate: Minimum mean rate over each `read_timeout`, in bytes per second.
    """

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 300.0
    connect_timeout: float = 15.0
    read_timeout: float = 60.0
    least_rate: float = 1000.0

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after a number of consecutive failures."""
        return min(self.longest_wait, self.first_wait * 2.0 ** max(0, failures - 1))


class SourceError(Exception):
    """A source does not have the file; the next one may have it."""


class _BodyError(Exception):
    """A body ended early; it can be resumed."""


class _Retry(urllib3.Retry):
    """Retries of a request until its headers arrive; `pause(seconds, reason)` waits."""

    def __init__(self, *args: Any, policy: RetryPolicy, pause: Callable[[float, str], None], **options: Any):
        super().__init__(*args, **options)
        self.policy, self.pause = policy, pause

    def new(self, **options: Any) -> Self:
        return super().new(policy=self.policy, pause=self.pause, **options)

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        asked = 0.0
        if response is not None:
            with contextlib.suppress(urllib3.exceptions.InvalidHeader, ValueError):
                asked = self.get_retry_after(response) or 0.0
        reason = str(self.history[-1].error) if response is None else _status(response.status, response.reason)
        if asked > self.policy.longest_wait:
            raise SourceError(f"{reason} and requests a retry in {asked:.0f} s")
        self.pause(max(asked, self.policy.wait(len(self.history))), reason)


def download(url: str, part: Path, name: str, size: int | None, progress: Progress, policy: RetryPolicy) -> None:
    """Download the file at `url` to `part`, resuming a partial download.

    The file `metadata_path(part)` identifies the version of the file, by which a later call for the same URL, also in
    another process, resumes.

    Args:
        url: URL of the file.
        part: File to write.
        name: Name of the file in messages.
        size: Expected size in bytes, if known.
        progress: Called with a fraction and a message.
        policy: Retries and timeouts.

    Raises:
        SourceError: The URL does not have the file, or not the expected one, or all attempts failed; the count of
            attempts restarts after one that received bytes.
        DownloadError: The disk is full or cannot be written; another URL would not help.
    """

    def pause(seconds: float, reason: str) -> None:
        _log.info("%s: %s: %s", name, url, reason)
        fraction = min(1.0, size_of(part) / size) if size else 0.0
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            progress(fraction, f"{name}: {reason}; next try in {left:.0f} s")
            time.sleep(min(left, 1.0))

    retries = _Retry(
        policy.attempts - 1, other=0, status_forcelist=_PASSING, raise_on_status=False, policy=policy, pause=pause
    )
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retries))
        failures = 0
        while True:
            before = size_of(part)
            try:
                return _receive(session, url, part, name, size, progress, policy)
            except _BodyError as error:
                failures = 0 if size_of(part) > before else failures + 1
                if failures == policy.attempts:
                    raise SourceError(str(error)) from error
                pause(policy.wait(failures), str(error))


def _receive(
    session: requests.Session,
    url: str,
    part: Path,
    name: str,
    size: int | None,
    progress: Progress,
    policy: RetryPolicy,
) -> None:
    """Append the missing bytes to `part`, or start again if it cannot be resumed, with one request."""
    metadata = _read_metadata(part, url)
    start = size_of(part) if metadata else 0
    if metadata and start == metadata["size"]:
        return  # complete, but not verified yet
    headers = {"Accept-Encoding": "identity"}
    if metadata:
        headers |= {"Range": f"bytes={start}-", "If-Range": metadata["validator"]}
    try:
        response = session.get(url, headers=headers, stream=True, timeout=(policy.connect_timeout, policy.read_timeout))
    except (requests.ConnectionError, requests.Timeout) as error:
        cause = getattr(error.args[0], "reason", error) if error.args else error
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise SourceError(
                f"its certificate cannot be verified: {cause}; if this network has its own certificate authority, set "
                "REQUESTS_CA_BUNDLE to its file"
            ) from error
        raise SourceError(f"the connection failed: {cause}") from error
    except requests.exceptions.InvalidSchema as error:
        raise SourceError(f"only http and https are followed ({error})") from error
    except (requests.RequestException, ValueError) as error:  # the latter for a redirect to a malformed URL
        raise SourceError(str(error)) from error
    with response:
        start, offered = _check_response(response, start, part)
        if None not in (size, offered) and offered != size:
            raise SourceError(f"it offers {offered} bytes instead of {size}")
        size = offered if offered is not None else size
        try:
            require_space(part.parent, max(0, (size or 0) - start), part.name)
            if start == 0:
                _begin(response, url, part, size)
            _append(response, part, start, size, Meter(progress, name, size, start), policy)
        except urllib3.exceptions.HTTPError as error:
            raise _BodyError(f"the connection failed: {error}") from error
        except OSError as error:  # a full disk, for example
            raise DownloadError(f"Downloading to {part} failed ({error}); fix that and start again.") from error
    if size is not None and size_of(part) != size:
        raise _BodyError(f"{size_of(part)} of {size} bytes were received")


def _check_response(response: requests.Response, start: int, part: Path) -> tuple[int, int | None]:
    """Return the position in the file at which the body of a usable response starts, and the file's size if known."""
    status = _status(response.status_code, response.reason)
    if response.status_code == 200:
        return 0, _number(response.headers.get("Content-Length", ""))
    if response.status_code in (206, 416) and start:
        unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
        span, _, size = extent.partition("/")
        if response.status_code == 206 and unit == "bytes" and span.partition("-")[0] == str(start):
            return start, _number(size)
        metadata_path(part).unlink(missing_ok=True)  # the partial download cannot be resumed here
        raise _BodyError(f"{status} for bytes from {start} and sends {extent or 'no range'}")
    raise SourceError(status)


def _begin(response: requests.Response, url: str, part: Path, size: int | None) -> None:
    """Empty `part`, and record the server's identification of this version of the file."""
    metadata_path(part).unlink(missing_ok=True)
    part.write_bytes(b"")
    etag = response.headers.get("ETag", "")
    # A weak tag promises the same meaning, not the same bytes.
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
    if validator:
        write_json(metadata_path(part), {"url": url, "validator": validator, "size": size})


def _append(
    response: requests.Response, part: Path, done: int, size: int | None, meter: Meter, policy: RetryPolicy
) -> None:
    counted, since = done, time.monotonic()
    with open(part, "ab", buffering=0) as stream:
        # Bytes are not decoded, because a file with `Content-Encoding: gzip` may be the .gz itself. They are written as
        # they arrive, so that none are lost when the connection fails.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            stream.write(chunk)
            done += len(chunk)
            meter.update(done)
            if size is not None and done > size:
                metadata_path(part).unlink(missing_ok=True)
                raise SourceError(f"it sends more than the {size} bytes that it has")
            require_space(part.parent, 0, part.name)
            seconds = time.monotonic() - since
            if seconds >= policy.read_timeout:
                if done - counted < policy.least_rate * seconds:
                    raise SourceError(f"it sends no more than {(done - counted) / seconds:.0f} bytes a second")
                counted, since = done, time.monotonic()


def _read_metadata(part: Path, url: str) -> dict[str, Any] | None:
    """Return the metadata of a part that can be resumed from this URL."""
    if not size_of(part) or not metadata_path(part).exists():
        return None
    try:
        metadata = read_json(metadata_path(part))
    except ArtifactError:
        return None
    is_complete = isinstance(metadata, dict) and metadata.keys() == {"url", "validator", "size"}
    return metadata if is_complete and metadata["url"] == url else None


def require_space(directory: Path, needed: int, what: str) -> None:
    """Check that a disk has enough space, with `SPARE_BYTES` left.

    Args:
        directory: Directory on the disk.
        needed: Number of bytes.
        what: Name of the files, for the message.

    Raises:
        DownloadError: The disk has less space.
    """
    free = shutil.disk_usage(directory).free
    if needed > free - SPARE_BYTES:
        raise DownloadError(
            f"{what} needs {needed / 1e9:.1f} GB more and {directory} has {free / 1e9:.1f} GB free; "
            "free some or choose another directory."
        )


def metadata_path(part: Path) -> Path:
    """Return the file that identifies the version of which `part` is a part."""
    return part.with_name(f"{part.name}.json")


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def _status(code: int, reason: str | None) -> str:
    return f"the server reports {code} {reason or ''}".rstrip()


def _number(text: str) -> int | None:
    """Return a size in a header, if it is one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
