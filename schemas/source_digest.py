"""Files that the user names: artifacts made from them are named by what they hold, not by where they lie."""

from pathlib import Path

from schemas.errors import InputError
from schemas.files import digest_file
from schemas.provenance import digest_files

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
