"""Files that are whole or absent: atomic writes, digests, JSON and JSON lines."""

import hashlib
import io
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError, InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it is synced and renamed to `path`.

    Readers see the old file or the new one, never a part. On an exception the temporary file is removed.
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
    """Makes renames inside `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically, with the line ends as given."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def read_text(path: Path) -> str:
    """Read a UTF-8 text from outside, with or without a byte order mark.

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
    """JSON whose text is a function of the value alone: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Writes indented, key-sorted JSON atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def parse_json(text: str) -> Any:
    """A JSON value that can be stored again.

    Raises:
        ValueError: the text is not JSON, or has what cannot be kept: NaN, infinity, half a character, endless nesting.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if "\\ud" in text.lower():  # an escape may be of half a character, which UTF-8 does not have
        canonical_json(value).encode("utf-8")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:80]} is no finite number")
    return number


def read_json(path: Path) -> Any:
    """Reads one JSON value.

    Raises:
        ArtifactError: the file is missing or is not JSON.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read as JSON ({error}); remove it and run its stage again.") from error


def write_json_lines(path: Path, values: Iterable[Any]) -> int:
    """Writes one compact JSON value a line, atomically; returns how many."""
    count = 0
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        for value in values:
            stream.write(canonical_json(value) + "\n")
            count += 1
    return count


def read_json_lines(path: Path) -> Iterator[Any]:
    """Yields the JSON value of each line.

    Raises:
        ArtifactError: the file is missing, or a line (named) is not JSON.
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
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as stream:
        return digest_stream(stream)


def digest_stream(stream: io.BufferedIOBase) -> str:
    """SHA-256 of what is left to read in `stream`, in hex."""
    return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_files(files: dict[str, dict[str, Any]]) -> str:
    """One digest for a set of files: SHA-256 over their names and digests."""
    return hashlib.sha256(canonical_json({name: each["sha256"] for name, each in files.items()}).encode()).hexdigest()


_digests: dict[tuple[str, int, int], str] = {}  # of (path, size, time of change in ns)


def digest_source(source: Path) -> str:
    """SHA-256 of what `source` holds: its file, with the ids of a matrix beside it, or a folder's files by name.

    A file is read once a process, and again when its size or its time of change is another.

    Raises:
        InputError: there is no such file or folder, or it cannot be read.
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
