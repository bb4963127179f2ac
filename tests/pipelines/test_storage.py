"""Storage on this machine's disk, on store servers, and on file systems with faults."""

import hashlib
import threading
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipelines import storage
from schemas.errors import ConfigurationError, MissingObjectError, StorageAccessError, StorageError


def test_storage_keeps_bytes(place, tmp_path):
    path = storage.join(place, "a.bin")
    with pytest.raises(FileNotFoundError):
        storage.read(path)
    assert not storage.exists(path)
    assert storage.list_files(place) == {}
    storage.write(path, b"first")
    storage.write(path, b"second")
    storage.write(storage.join(place, "deeper/b.bin"), b"")
    assert storage.read(path) == b"second"
    assert storage.exists(path)
    assert not storage.exists(place)
    assert storage.list_files(place) == {"a.bin": 6}
    assert storage.digest(path) == hashlib.sha256(b"second").hexdigest()
    storage.download(path, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"second"
    storage.delete(path)
    storage.delete(path)
    assert storage.list_files(place) == {}


def test_large_files_are_uploaded_and_digested_in_blocks(place, tmp_path):
    source = tmp_path / "large"
    source.write_bytes(bytes(range(256)) * 50_000)  # 12.8 MB
    path = storage.join(place, "large")
    storage.upload(source, path)
    assert storage.list_files(place) == {"large": 12_800_000}
    assert storage.digest(path) == hashlib.sha256(source.read_bytes()).hexdigest()


def test_directories_are_deleted_with_their_files_only(place):
    storage.delete_directory(place)
    for name in ("a", "b", "deeper/c"):
        storage.write(storage.join(place, name), b"1")
    storage.delete_directory(storage.join(place, "deeper"))
    assert storage.list_files(storage.join(place, "deeper")) == {}
    assert storage.list_files(place) == {"a": 1, "b": 1}
    if not storage.is_address(place):
        assert sorted(path.name for path in Path(place).iterdir()) == ["a", "b"]


def test_fingerprint_follows_the_content(bucket):
    path = f"{bucket}/a"
    found = []
    for data in (b"1", b"2", b"1"):
        storage.write(path, data)
        found.append(storage.fingerprint(path))
    assert found[0] == found[2] != found[1]


def test_missing_bucket_is_one_sentence(bucket):
    address = bucket.replace("bucket-", "absent-")
    for action in (storage.read, lambda path: storage.write(path, b"")):
        with pytest.raises(MissingObjectError, match=rf"^{address}/a does not exist \(.+\); check the URL\.$"):
            action(f"{address}/a")


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
@pytest.mark.parametrize("wrong", [{"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}, {"AWS_SECRET_ACCESS_KEY": "wrong"}, {}])
def test_wrong_credentials_are_one_sentence(bucket, wrong, monkeypatch):
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    if not wrong:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    storage.configure({"s3": {"use_ssl": False}})  # drops the client that has the right ones
    for action in (storage.read, lambda path: storage.write(path, b"")):
        with pytest.raises(
            StorageAccessError, match=rf"^{bucket}/a cannot be used with these credentials \(.+\); set those"
        ):
            action(f"{bucket}/a")


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)
def test_threads_of_a_process_share_one_client(bucket, monkeypatch):
    storage.configure({"s3": {"use_ssl": False}})  # forgets the clients of other tests
    made = []
    real = fsspec.url_to_fs
    monkeypatch.setattr(fsspec, "url_to_fs", lambda *args, **options: made.append(args) or real(*args, **options))
    threads = [threading.Thread(target=storage.write, args=(f"{bucket}/{name}", b"")) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(storage.list_files(bucket)) == 8
    assert len(made) == 1


def test_unknown_protocol_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match=r"^No file system supports nowhere://a/b \(.*nowhere.*\); check the"):
        storage.read("nowhere://a/b")


def test_missing_package_is_a_configuration_error(monkeypatch):
    with pytest.raises(ConfigurationError, match=r"^No file system supports abfs://a/b \(.*adlfs.*\); check the URL"):
        storage.read("abfs://a/b")

    def fail(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", fail)
    storage.configure({"s3": {"use_ssl": False}})
    with pytest.raises(ConfigurationError, match=r"\(Install s3fs to access S3\); run `pip install 'm-rnn\[s3\]'`"):
        storage.read("s3://a/b")
    storage.configure({})


class Faulty(MemoryFileSystem):
    """`faulty://`: raises one error after another when a file is read or written, then works."""

    protocol = "faulty"
    errors: list[Exception]
    calls: int

    def cat_file(self, path, **options):
        self._fail()
        return super().cat_file(path, **options)

    def pipe_file(self, path, value, **options):
        self._fail()
        super().pipe_file(path, value, **options)

    def _fail(self):
        Faulty.calls += 1
        if Faulty.errors:
            raise Faulty.errors.pop(0)


@pytest.fixture
def faulty(monkeypatch):
    fsspec.register_implementation("faulty", Faulty, clobber=True)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    Faulty.errors, Faulty.calls = [], 0
    storage.write("faulty://a/b", b"data")
    Faulty.calls = 0
    return Faulty


def test_transient_errors_are_retried(faulty):
    faulty.errors = [OSError("connection reset"), TimeoutError("slow")]
    assert storage.read("faulty://a/b") == b"data"
    assert faulty.calls == 3
    faulty.errors = [ConnectionResetError()]
    storage.write("faulty://a/b", b"new")
    assert storage.read("faulty://a/b") == b"new"


def test_persistent_errors_are_one_sentence(faulty):
    faulty.errors = [OSError("connection\nreset")] * 5
    with pytest.raises(StorageError, match=r"^faulty://a/b cannot be reached or written \(connection reset\); check"):
        storage.read("faulty://a/b")
    assert faulty.calls == storage.ATTEMPTS


@pytest.mark.parametrize("error", [FileNotFoundError(), PermissionError(), IsADirectoryError(), OSError(28, "full")])
def test_permanent_errors_are_not_retried(faulty, error):
    faulty.errors = [error] * 5
    with pytest.raises(StorageError):
        storage.read("faulty://a/b")
    assert faulty.calls == 1


def test_failed_write_keeps_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    storage.write(str(path), b"old")
    client = storage._client(str(path))

    def fill_the_disk(name, data):
        Path(name).write_bytes(data[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(client, "pipe_file", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        storage.write(str(path), b"new and longer")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
