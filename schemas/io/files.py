"""Atomic writes, checksums, JSON and JSON lines."""

import hashlib
import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError, InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success it is synced and renamed to `path`.

    Readers see the old file or the new one, never a partial one. On an exception the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Sync a directory, so that renames in it survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with the line ends as given."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, with or without a byte order mark.

    Raises:
        InputError: The file cannot be read or is not UTF-8; names the line, or the encoding where it is known.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from error
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            raise InputError(f"{path} is {encoding} text; save it as UTF-8.")
    zero = data.find(b"\0")
    if 0 <= zero < 4:  # the other half of an ASCII character
        raise InputError(f"{path} seems to be UTF-16 text without a byte order mark; save it as UTF-8.")
    if zero >= 0:
        raise InputError(f"{path}, line {_line_of(data, zero)}, has a zero byte; save the file as UTF-8 text.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)  # counted without the mark
        raise InputError(
            f"{path}, line {_line_of(data, start)}, is not UTF-8 (byte 0x{data[start]:02x}); save the file as UTF-8."
        ) from error


def _line_of(data: bytes, position: int) -> int:
    return data.count(b"\n" if b"\n" in data else b"\r", 0, position) + 1


def canonical_json(value: Any) -> str:
    """Return canonical JSON: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Write indented, key-sorted JSON atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def parse_json(text: str) -> Any:
    """Parse JSON that can be written again.

    Raises:
        ValueError: The text is not JSON, or contains NaN, infinity, lone surrogates or excessive nesting.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if "\\ud" in text.lower():  # an escape may be a lone surrogate, which UTF-8 cannot encode
        canonical_json(value).encode("utf-8")
    return value


def find_repeated_key(text: str) -> str | None:
    """Return a key that an object of a valid JSON text has twice; `parse_json` keeps the last value of such a key."""
    repeated: list[str] = []

    def check(pairs: list[tuple[str, Any]]) -> None:
        repeated.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)

    json.loads(text, object_pairs_hook=check)
    return repeated[0] if repeated else None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:80]} is not a finite number")
    return number


def read_json(path: Path) -> Any:
    """Read one JSON value.

    Raises:
        ArtifactError: The file is missing or not JSON.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read as JSON ({error}); remove it and run its stage again.") from error


def write_json_lines(path: Path, values: Iterable[Any]) -> int:
    """Write one compact JSON value per line, atomically; return their number."""
    count = 0
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        for value in values:
            stream.write(canonical_json(value) + "\n")
            count += 1
    return count


def read_json_lines(path: Path) -> Iterator[Any]:
    """Yield the JSON value of each line.

    Raises:
        ArtifactError: The file is missing, or a line is not JSON; names the line.
    """
    number = 0
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):  # noqa: B007  (named in the error)
                yield parse_json(line.decode("utf-8"))
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); run its stage again.") from error
    except ValueError as error:
        raise ArtifactError(f"{path}, line {number}, is not JSON ({error}); run its stage again.") from error


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with open(path, "rb") as stream:
        return digest_stream(stream)


def digest_stream(stream: io.BufferedIOBase) -> str:
    """Return the SHA-256 of the rest of `stream` in hex."""
    return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_files(files: dict[str, dict[str, Any]]) -> str:
    """Return one SHA-256 over the names and digests of a set of files."""
    return hashlib.sha256(canonical_json({name: each["sha256"] for name, each in files.items()}).encode()).hexdigest()


_digests: dict[tuple[str, int, int], str] = {}  # of (path, size, time of change in ns)


def digest_source(source: Path) -> str:
    """Return the SHA-256 of the content of `source`.

    The content is that of a file, with the ids file of a matrix, or of a directory's files by name. A file is read once
    per process, and again when its size or modification time changes.

    Raises:
        InputError: There is no such file or directory, or it cannot be read.
    """
    try:
        if source.is_dir():
            files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
        else:
            ids = source.with_suffix(".parquet")
            files = {
                path.suffix: path for path in (source, *([ids] if source.suffix == ".npy" and ids.exists() else []))
            }
        return digest_files({name: {"sha256": _digest_once(path)} for name, path in files.items()})
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error.strerror}); check the path.") from error


def _digest_once(path: Path) -> str:
    status = path.stat()
    identity = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    if identity not in _digests:
        _digests[identity] = digest_file(path)
    return _digests[identity]
