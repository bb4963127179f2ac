"""Brings one file from one address to a disk: continued where it stopped, tried again, given up in bounded time."""

import contextlib
import hashlib
import logging
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import tenacity
import urllib3

from pipelines.data.dataset import Archive, Progress
from pipelines.data.download.progress import Meter
from schemas.errors import ArtifactError, DownloadError
from schemas.io.files import read_json, write_json

CHUNK_BYTES = 1 << 20
SPARE_BYTES = 64 << 20  # left free on the disk
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetryPolicy:
    """How long to try one source: tries in a row that bring nothing, times in seconds, and a rate in bytes a second.

    `longest_wait` is also the most that a server may ask for (Retry-After); `least_rate` is what must come in the mean
    of each `read_timeout`.
    """

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 300.0
    connect_timeout: float = 15.0
    read_timeout: float = 60.0
    least_rate: float = 1000.0


class SourceError(Exception):
    """This source will not do; the next may."""


class Transient(Exception):
    """This try failed; the same source may do better on the next, after `wait` seconds at least."""

    def __init__(self, message: str, wait: float = 0.0):
        super().__init__(message)
        self.wait = wait


class Transfer:
    """One archive on its way from `url` to the file `part`.

    Beside `part` lie notes that name the version of the file by which a later transfer from the same address, also in
    another process, continues it.
    """

    def __init__(self, url: str, archive: Archive, part: Path, progress: Progress, patience: RetryPolicy):
        self._url = url
        self._archive = archive
        self._part = part
        self._notes = metadata_path(part)
        self._progress = progress
        self._patience = patience
        self._failure = ""
        self._sha256 = hashlib.sha256()
        self._hashed = 0  # bytes of `part` that `_sha256` covers

    def run(self) -> str:
        """Brings all of the file, in as many tries as it takes; returns its SHA-256 in hex.

        Raises:
            SourceError: this address does not have the file, or not as promised.
            Transient: the tries are used up; they are counted anew after any that brought bytes.
            DownloadError: the disk is full or cannot be written; another address would not help.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            stop=tenacity.stop_after_attempt(self._patience.attempts),
            wait=self._wait,
            before_sleep=self._tell,
            sleep=self._sleep,
            reraise=True,
        )
        while True:
            before = size_of(self._part)
            try:
                retrying(self._receive)
                return self._sha256.hexdigest()
            except Transient:
                # A long transfer over a bad line goes on as long as the part grows.
                if size_of(self._part) <= before:
                    raise

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds until the next try: twice as long each time, or what the server asked for."""
        backoff = tenacity.wait_exponential(multiplier=self._patience.first_wait, max=self._patience.longest_wait)
        failure = state.outcome.exception() if state.outcome else None
        return max(backoff(state), failure.wait if isinstance(failure, Transient) else 0.0)

    def _tell(self, state: tenacity.RetryCallState) -> None:
        self._failure = str(state.outcome.exception()) if state.outcome else ""
        _log.info("%s: %s: %s", self._archive.name, self._url, self._failure)

    def _sleep(self, seconds: float) -> None:
        size = self._archive.size
        fraction = min(1.0, size_of(self._part) / size) if size else 0.0
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._progress(fraction, f"{self._archive.name}: {self._failure}; next try in {left:.0f} s")
            time.sleep(min(left, 1.0))

    def _receive(self) -> None:
        """One request: appends to `part` what is missing, or begins it anew if it cannot be resumed."""
        notes = self._resumable()
        start = size_of(self._part) if notes else 0
        if notes and start == notes["size"]:
            self._hash_existing(start)
            return  # stopped between the last byte and the check
        headers = {"Accept-Encoding": "identity"}
        if notes:
            headers |= {"Range": f"bytes={start}-", "If-Range": notes["validator"]}
        timeout = (self._patience.connect_timeout, self._patience.read_timeout)
        try:
            with requests.get(self._url, headers=headers, stream=True, timeout=timeout) as response:
                start, size = self._check_response(response, start)
                if None not in (self._archive.size, size) and size != self._archive.size:
                    raise SourceError(f"it offers {size} bytes instead of {self._archive.size}")
                size = size if size is not None else self._archive.size
                require_space(self._part.parent, max(0, (size or 0) - start), self._part.name)
                if start == 0:
                    self._begin(response, size)
                self._append(response, start, size)
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            cause = error.args[0] if error.args else error
            cause = getattr(cause, "reason", cause)
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise SourceError(
                    f"its certificate cannot be verified: {cause}; if this network has an authority of its own, "
                    "name that by REQUESTS_CA_BUNDLE"
                ) from error
            raise Transient(f"the connection failed: {cause}") from error
        except requests.exceptions.InvalidSchema as error:
            raise SourceError(f"only http and https are followed ({error})") from error
        except (requests.RequestException, ValueError) as error:  # the latter for a redirect to no address at all
            raise SourceError(str(error)) from error
        except OSError as error:  # a full disk, say
            raise DownloadError(f"Downloading to {self._part} failed ({error}); mend that and start again.") from error
        if size is not None and size_of(self._part) != size:
            raise Transient(f"{size_of(self._part)} of {size} bytes came")

    def _check_response(self, response: requests.Response, start: int) -> tuple[int, int | None]:
        """(byte at which the body begins, size of the whole file if known) of an answer that is of use."""
        status = f"the server says {response.status_code} {response.reason}"
        if response.status_code == 200:
            return 0, _number(response.headers.get("Content-Length", ""))
        if response.status_code in (206, 416):
            unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
            span, _, size = extent.partition("/")
            if response.status_code == 206 and start and unit == "bytes" and span.partition("-")[0] == str(start):
                return start, _number(size)
            # Another range than was asked for, or none: what is there cannot be continued here.
            self._notes.unlink(missing_ok=True)
            if start:
                raise Transient(f"{status} for bytes from {start} and sends {extent or 'no range'}")
        if response.status_code in (408, 429) or response.status_code >= 500:
            wait = _retry_after(response)
            if wait > self._patience.longest_wait:
                raise SourceError(f"{status} and to come again in {wait:.0f} s")
            raise Transient(status, wait)
        raise SourceError(status)

    def _begin(self, response: requests.Response, size: int | None) -> None:
        """Empties `part` and notes beside it what the server calls this version of the file."""
        self._notes.unlink(missing_ok=True)
        self._part.write_bytes(b"")
        etag = response.headers.get("ETag", "")
        # A weak tag promises the same meaning, not the same bytes.
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
        if validator:
            write_json(self._notes, {"url": self._url, "validator": validator, "size": size})

    def _append(self, response: requests.Response, start: int, size: int | None) -> None:
        self._hash_existing(start)
        meter = Meter(self._progress, self._archive.name, size, start)
        counted, since = start, time.monotonic()
        with open(self._part, "ab") as stream, ThreadPoolExecutor(1) as hashing:
            hashed = hashing.submit(self._sha256.update, b"")
            # The bytes as sent: what a server labels `Content-Encoding: gzip` may be the .gz itself. And as they come,
            # so that none are lost when the next ones do not.
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
                stream.write(chunk)
                hashed.result()
                hashed = hashing.submit(self._sha256.update, chunk)  # while the next comes
                self._hashed += len(chunk)
                meter.update(self._hashed)
                if size is not None and self._hashed > size:
                    self._notes.unlink(missing_ok=True)
                    raise SourceError(f"it sends more than the {size} bytes that it has")
                require_space(self._part.parent, 0, self._part.name)
                seconds = time.monotonic() - since
                if seconds >= self._patience.read_timeout:
                    if self._hashed - counted < self._patience.least_rate * seconds:
                        raise SourceError(
                            f"it sends no more than {(self._hashed - counted) / seconds:.0f} bytes a second"
                        )
                    counted, since = self._hashed, time.monotonic()

    def _hash_existing(self, size: int) -> None:
        """Makes `_sha256` that of the first `size` bytes, which are all that `part` has."""
        if self._hashed == size:
            return
        self._sha256, self._hashed = hashlib.sha256(), size
        if size:
            with open(self._part, "rb") as stream:
                self._sha256 = hashlib.file_digest(stream, "sha256")

    def _resumable(self) -> dict[str, Any] | None:
        """The notes on a part that may be continued; without a name for its version it would be a gamble."""
        if not size_of(self._part) or not self._notes.exists():
            return None
        try:
            notes = read_json(self._notes)
        except ArtifactError:
            return None
        whole = isinstance(notes, dict) and notes.keys() == {"url", "validator", "size"}
        return notes if whole and notes["url"] == self._url else None


def require_space(directory: Path, needed: int, what: str) -> None:
    """Raises DownloadError unless `needed` bytes, and some to spare, are free on the directory's disk."""
    free = shutil.disk_usage(directory).free
    if needed > free - SPARE_BYTES:
        raise DownloadError(
            f"{what} needs {needed / 1e9:.1f} GB more and {directory} has {free / 1e9:.1f} GB free; "
            "free some or choose another folder."
        )


def metadata_path(part: Path) -> Path:
    """Where the notes on `part` lie."""
    return part.with_name(f"{part.name}.json")


def size_of(path: Path) -> int:
    """Bytes of a file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def _number(text: str) -> int | None:
    """A size in a header, if it is one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _retry_after(response: requests.Response) -> float:
    """Seconds that the server asks to wait, 0 if it does not say or not so that it is understood."""
    with contextlib.suppress(urllib3.exceptions.InvalidHeader, ValueError):
        return urllib3.Retry().get_retry_after(response.raw) or 0.0
    return 0.0
