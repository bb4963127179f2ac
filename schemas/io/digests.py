"""SHA-256 digests of files, cached by path, size, modification time and inode."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from schemas.io.files import digest_file

_TABLE = "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, identity TEXT NOT NULL, sha256 TEXT NOT NULL)"


def digest_cached(paths: Iterable[Path], cache: Path) -> dict[Path, str | None]:
    """Return the SHA-256 of each file in hex, None where it cannot be read.

    Files that are unchanged since an earlier call with the same cache are not read again. An unusable cache only costs
    time.

    Args:
        paths: Absolute paths.
        cache: SQLite file that stores digests between processes.
    """
    identities: dict[Path, str] = {}
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            identities[path] = f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
    known = _load(cache)
    digests: dict[Path, str | None] = dict.fromkeys(paths)
    new = []
    for path, identity in identities.items():
        name = str(path)
        if known.get(name, ("", ""))[0] == identity:
            digests[path] = known[name][1]
            continue
        with suppress(OSError):
            sha256 = digest_file(path)
            digests[path] = sha256
            new.append((name, identity, sha256))
    if new:
        _store(cache, new)
    return digests


def _load(cache: Path) -> dict[str, tuple[str, str]]:
    if not cache.exists():
        return {}
    with suppress(sqlite3.Error), closing(sqlite3.connect(cache)) as database:
        rows = database.execute("SELECT path, identity, sha256 FROM files")
        return {path: (identity, sha256) for path, identity, sha256 in rows}
    return {}


def _store(cache: Path, rows: list[tuple[str, str, str]]) -> None:
    with suppress(sqlite3.Error, OSError, UnicodeError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(cache)) as database, database:
            database.execute(_TABLE)
            database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)
