"""Copies of input files on a store, and their cache on a machine."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines import storage
from pipelines.engines.inputs import UNUSED_SECONDS, InputFiles, cache_directory, copy_inputs
from schemas.errors import ArtifactError, MissingObjectError, ResourceError

NAMES = ["model.bin", "deep/words.txt"]


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """A machine's directory for temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture
def source(tmp_path) -> Path:
    """A directory with two files."""
    (tmp_path / "source" / "deep").mkdir(parents=True)
    (tmp_path / "source" / "model.bin").write_bytes(bytes(1000))
    (tmp_path / "source" / "deep" / "words.txt").write_text("a dog")
    (tmp_path / "source" / "other.txt").write_text("not an input")
    return tmp_path / "source"


@pytest.fixture
def transfers(monkeypatch) -> list[str]:
    """Names of the files that are sent or fetched from now on."""
    seen: list[str] = []
    upload, download = storage.upload, storage.download
    monkeypatch.setattr(storage, "upload", lambda path, to: seen.append(f"sent {path.name}") or upload(path, to))
    monkeypatch.setattr(storage, "download", lambda path, to: seen.append(f"fetched {to.name}") or download(path, to))
    return seen


def test_files_that_workers_see_are_not_copied(source, transfers):
    assert InputFiles(str(source)).local() == source
    assert transfers == []


def test_copies_are_sent_once_and_fetched_once(source, place, transfers):
    files = copy_inputs(source, NAMES, place)
    assert copy_inputs(source, NAMES, place) == files
    with ThreadPoolExecutor(4) as pool:
        (directory,) = set(pool.map(lambda _: files.local(), range(8)))
    assert transfers == ["sent model.bin", "sent words.txt", "fetched model.bin", "fetched words.txt"]
    found = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    assert found == sorted(NAMES)
    for name in NAMES:
        assert (directory / name).read_bytes() == (source / name).read_bytes()


def test_other_content_is_another_copy(source, tmp_path):
    place = str(tmp_path / "place")
    first = copy_inputs(source, NAMES, place)
    (source / "model.bin").write_bytes(bytes(999) + b"1")
    second = copy_inputs(source, NAMES, place)
    assert (first.local() / "model.bin").read_bytes() != (second.local() / "model.bin").read_bytes()


def test_copy_of_another_size_is_sent_again(source, tmp_path):
    files = copy_inputs(source, NAMES, str(tmp_path / "place"))
    (Path(files.directory) / "model.bin").write_bytes(b"")
    copy_inputs(source, NAMES, str(tmp_path / "place"))
    assert (files.local() / "model.bin").read_bytes() == bytes(1000)


def test_damaged_copy_is_named(source, bucket):
    files = copy_inputs(source, NAMES, bucket)
    storage.write(f"{files.directory}/model.bin", b"1" * 1000)
    with pytest.raises(ArtifactError, match=rf"^{files.directory}/model\.bin is damaged; remove it and run again"):
        files.local()
    storage.delete(f"{files.directory}/model.bin")
    copy_inputs(source, NAMES, bucket)
    assert (files.local() / "model.bin").read_bytes() == bytes(1000)


def test_missing_bucket_is_one_sentence(source, bucket):
    absent = bucket.replace("bucket-", "absent-")
    with pytest.raises(MissingObjectError, match=rf"^{absent}/\S+ does not exist \(.+\); check the URL\.$"):
        copy_inputs(source, NAMES, absent)


def test_unused_and_interrupted_copies_are_removed(source, tmp_path, temporary):
    place = str(tmp_path / "place")
    old, used, new = (copy_inputs(source, names, place) for names in (NAMES[:1], NAMES[1:], NAMES))
    directories = [files.local() for files in (old, used)]
    for directory in directories:
        os.utime(directory, (0, directory.stat().st_mtime - 2 * UNUSED_SECONDS))
    used.local()
    (cache_directory() / ".partial").mkdir()
    (cache_directory() / ".partial" / "model.bin").write_bytes(b"interrupted")
    made = new.local()
    assert sorted(path for path in cache_directory().iterdir() if path.is_dir()) == sorted([directories[1], made])


def test_cache_of_another_user_is_refused(source, tmp_path, monkeypatch):
    files = copy_inputs(source, NAMES, str(tmp_path / "place"))
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(ResourceError, match=rf"m-rnn-inputs-{other} belongs to another user; set TMPDIR"):
        files.local()
