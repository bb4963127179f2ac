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
