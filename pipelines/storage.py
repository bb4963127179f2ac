"""Storage: bytes at a local path or at the URL of an object, the same for driver and workers.

A URL is any that fsspec supports: `s3://` and `gs://` (the extras `s3` and `gcs`), `hdfs://`, `abfs://` and others. A
process has one client per store. Credentials and endpoints come from the environment variables of the store's own
tools, and from `configure`. What is written appears at once and complete, or not at all.
"""

import contextlib
import hashlib
import json
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from errno import EDQUOT, EFBIG, EINVAL, ELOOP, ENAMETOOLONG, ENOSPC, EROFS
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from schemas.errors import ConfigurationError, MissingObjectError, StorageAccessError, StorageError
from schemas.text import install_hint, reason

T = TypeVar("T")
Options = Mapping[str, Mapping[str, Any]]

ATTEMPTS = 3
_BLOCK = 1 << 22  # bytes read at a time
_DELETED_AT_ONCE = 8
_REASON = 300  # maximum number of characters quoted from a library
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_OBJECT_STORES = {*_EXTRAS, "abfs", "abfss", "az"}  # a write is one request there; a bucket is no host
_DEFAULTS: Options = {"s3": {"max_concurrency": 1}}  # an object is one GET, without asking for its size first
_LIBRARIES = ("aiobotocore", "aiohttp", "botocore", "gcsfs", "google", "requests")
_FINAL = (IsADirectoryError, NotADirectoryError, FileExistsError, ValueError)
_FINAL_NUMBERS = (EDQUOT, EFBIG, EINVAL, ELOOP, ENAMETOOLONG, ENOSPC, EROFS)

# gcsfs then makes no second client, which asks another service for the kind of each bucket.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

_options: Options = {}
_clients: dict[tuple[int, str, str], fsspec.AbstractFileSystem] = {}
_lock = threading.Lock()


def configure(options: Options) -> None:
    """Set the arguments of file systems in this process.

    Args:
        options: Protocol (`s3`, `gs`) -> arguments of its fsspec class, such as
            `{"s3": {"endpoint_url": "https://store.example:9000"}}`.
    """
    global _options
    with _lock:
        if options != _options:
            _options = options
            _clients.clear()


def configured() -> Options:
    """Return the options that `configure` has set, for workers to set them too."""
    return _options


def is_address(path: str) -> bool:
    """Return whether a path is the URL of a store, and no path of this machine."""
    return "://" in path


def join(directory: str, name: str) -> str:
    """Return the path or URL of a file in a directory."""
    return f"{directory.rstrip('/')}/{name}"


def read(path: str) -> bytes:
    """Return the bytes of a file or object.

    Raises:
        OSError: It cannot be read: FileNotFoundError, PermissionError, or another after some attempts. For a URL it
            is a StorageError too, which is one sentence.
        ConfigurationError: No file system supports the URL.
    """
    data: bytes = _attempt(path, lambda client, name: client.cat_file(name))
    return data


def write(path: str, data: bytes) -> None:
    """Write or replace a file or object.

    Raises:
        OSError: It cannot be written, see `read`.
        ConfigurationError: No file system supports the URL.
    """
    _create(path, lambda client, name: client.pipe_file(name, data))


def upload(source: Path, path: str) -> None:
    """Copy a local file; see `write`."""
    _create(path, lambda client, name: client.put_file(str(source), name))


def download(path: str, target: Path) -> None:
    """Copy a file or object to a local file; see `read`."""
    _attempt(path, lambda client, name: client.get_file(name, str(target)))


def digest(path: str) -> str:
    """Return the SHA-256 of a file or object in hex, with one block in memory at a time; see `read`."""

    def compute(client: fsspec.AbstractFileSystem, name: str) -> str:
        found = hashlib.sha256()
        with client.open(name, "rb", block_size=_BLOCK) as stream:
            while block := stream.read(_BLOCK):
                found.update(block)
        return found.hexdigest()

    return _attempt(path, compute)


def fingerprint(path: str) -> str:
    """Return a text that changes when an object changes: its size and its checksum in the store; see `read`."""

    def compute(client: fsspec.AbstractFileSystem, name: str) -> str:
        found = client.info(name)
        names = ("ETag", "md5Hash", "crc32c", "etag", "content_md5", "mtime")
        checksum = next((str(found[each]) for each in names if found.get(each)), "")
        return json.dumps({"size": found["size"], "checksum": checksum.strip('"')}, sort_keys=True)

    return _attempt(path, compute)


def size(path: str) -> int:
    """Return the size of a file or object in bytes; see `read`."""
    return _attempt(path, lambda client, name: int(client.info(name)["size"]))


def delete(path: str) -> None:
    """Delete a file or object if it exists; see `read`."""
    with contextlib.suppress(FileNotFoundError):
        _attempt(path, lambda client, name: client.rm_file(name))


def delete_directory(directory: str) -> None:
    """Delete the files of a directory, which has no directories, and on a disk the directory; see `read`."""
    with ThreadPoolExecutor(_DELETED_AT_ONCE) as pool:
        list(pool.map(lambda name: delete(join(directory, name)), list_files(directory)))
    if _protocol(directory) not in _OBJECT_STORES:
        with contextlib.suppress(FileNotFoundError):
            _attempt(directory, lambda client, name: client.rmdir(name))


def exists(path: str) -> bool:
    """Return whether there is a file or object; see `read`."""
    return _attempt(path, lambda client, name: bool(client.isfile(name)))


def list_files(directory: str) -> dict[str, int]:
    """Return the names of the files in a directory and their sizes in bytes; none if it does not exist; see `read`."""
    try:
        found = _attempt(directory, lambda client, name: client.ls(name, detail=True))
    except FileNotFoundError:
        return {}
    return {each["name"].rpartition("/")[2]: each["size"] for each in found if each["type"] == "file"}


def _create(path: str, action: Callable[[fsspec.AbstractFileSystem, str], Any]) -> None:
    if _protocol(path) in _OBJECT_STORES:
        _attempt(path, action)
        return

    def write_and_rename(client: fsspec.AbstractFileSystem, name: str) -> None:
        temporary = f"{name}.{uuid.uuid4().hex}.tmp"  # two workers may be given the same shard
        client.makedirs(name.rpartition("/")[0], exist_ok=True)
        try:
            action(client, temporary)
            if is_address(path) and client.exists(name):  # HDFS renames to free names only
                client.rm_file(name)
            client.mv(temporary, name)
        except OSError:
            if client.exists(temporary):
                client.rm_file(temporary)
            raise

    _attempt(path, write_and_rename)


def _attempt(path: str, action: Callable[[fsspec.AbstractFileSystem, str], T]) -> T:
    """Call `action` with the client and the path that it understands, again after transient errors."""
    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(0.5),
        retry=retry_if_exception(_is_transient),
        reraise=True,
    )
    client = _client(path)
    try:
        return retrying(action, client, client._strip_protocol(path))
    except Exception as error:
        if not is_address(path) or not _is_of_storage(error):
            raise
        raise _translate(path, error) from error


def _client(path: str) -> fsspec.AbstractFileSystem:
    protocol = _protocol(path)
    host = "" if protocol in _OBJECT_STORES else path.partition("://")[2].partition("/")[0]
    key = (os.getpid(), protocol, host if is_address(path) else "")
    with _lock:
        if key not in _clients:
            options = {**_DEFAULTS.get(protocol, {}), **_options.get(protocol, {})}
            try:
                # Other processes write too, so that no listing may be kept.
                client, _ = fsspec.url_to_fs(path, use_listings_cache=False, skip_instance_cache=True, **options)
                if protocol in ("s3", "s3a"):
                    client.connect()  # here, once: threads that connect at the same time make a client each
            except (ImportError, TypeError, ValueError) as error:
                extra = install_hint(_EXTRAS[protocol]) if protocol in _EXTRAS else "check the URL"
                raise ConfigurationError(
                    f"No file system supports {path} ({reason(error, _REASON)}); {extra} and [storage] options."
                ) from error
            except Exception as error:
                if not _is_of_storage(error):
                    raise
                raise _translate(path, error) from error
            _clients[key] = client
        return _clients[key]


def _protocol(path: str) -> str:
    return path.partition("://")[0] if is_address(path) else "file"


def _is_of_storage(error: BaseException) -> bool:
    return isinstance(error, OSError | ValueError) or type(error).__module__.partition(".")[0] in _LIBRARIES


def _is_transient(error: BaseException) -> bool:
    return not (
        not _is_of_storage(error)
        or _is_missing(error)
        or _is_refused(error)
        or isinstance(error, _FINAL)
        or getattr(error, "errno", None) in _FINAL_NUMBERS
    )


def _is_missing(error: BaseException) -> bool:
    return isinstance(error, FileNotFoundError) or str(getattr(error, "code", "")) == "404"


def _is_refused(error: BaseException) -> bool:
    return (
        isinstance(error, PermissionError)
        or str(getattr(error, "code", "")) in ("401", "403")
        or "Credential" in type(error).__name__
        or str(error).startswith("Forbidden: ")  # gcsfs
    )


def _translate(path: str, error: BaseException) -> StorageError:
    quoted = reason(error, _REASON)
    if _is_missing(error):
        return MissingObjectError(f"{path} does not exist ({quoted}); check the URL.")
    if _is_refused(error):
        return StorageAccessError(
            f"{path} cannot be used with these credentials ({quoted}); set those of the store in the environment."
        )
    return StorageError(f"{path} cannot be reached or written ({quoted}); check the URL and [storage] options.")
