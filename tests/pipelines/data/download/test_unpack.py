"""Extraction of intact, damaged and malicious archives."""

import io
import shutil
import stat
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.data.download.unpack import FREE_BYTES, unpack
from schemas.errors import InputError
from tests.support.faults.guarded import limited_memory

FILES = {"text/captions.txt": b"a dog .\n" * 40, "images/a.jpg": bytes(range(256)) * 300, "empty": b""}
DIRT = ("__MACOSX/images/._a.jpg", "images/._a.jpg", ".DS_Store", "images/.DS_Store")
Entry = tuple[str, bytes]


def zip_of(path: Path, entries: list[Entry], **options: int) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # duplicates
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.filename = name  # as it is, without ZipInfo's repairs
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = options.get("mode", 0) << 16
            archive.writestr(info, content)
    return path


def tar_of(path: Path, entries: list[Entry], form: str = "w", **fields: object) -> Path:
    with tarfile.open(path, form) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(content))
    return path


MAKERS: dict[str, Callable[[Path, list[Entry]], Path]] = {
    "zip": zip_of,
    "tar": tar_of,
    "gz": lambda path, entries: tar_of(path, entries, "w:gz"),
    "bz2": lambda path, entries: tar_of(path, entries, "w:bz2"),
    "xz": lambda path, entries: tar_of(path, entries, "w:xz"),
}


def quiet(fraction: float, message: str) -> None:
    assert 0 <= fraction <= 1


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[Path, list[Entry]], Path]:
    return MAKERS[request.param]


def test_unpacks_files_and_skips_what_macos_adds(make: Callable[[Path, list[Entry]], Path], tmp_path: Path) -> None:
    archive = make(tmp_path / "a", [*FILES.items(), *((name, b"x") for name in DIRT)])
    assert unpack(archive, tmp_path / "out", quiet) == len(FILES)
    assert content(tmp_path / "out") == FILES


def test_rerun_replaces_unpacked_files(make: Callable[[Path, list[Entry]], Path], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"keep")
    (tmp_path / "out" / "images").mkdir(parents=True)
    (tmp_path / "out" / "images" / "a.jpg").write_bytes(b"half")
    (tmp_path / "out" / "empty").symlink_to(outside)
    unpack(make(tmp_path / "a", list(FILES.items())), tmp_path / "out", quiet)
    assert content(tmp_path / "out") == FILES
    assert outside.read_bytes() == b"keep"


@pytest.mark.parametrize(
    "name", ["/etc/x", "../x", "a/../../x", "C:/x", "c:x", "a\\b", "..\\x", "//host/x", "__MACOSX/../../x"]
)
def test_path_traversal_is_refused(make: Callable[[Path, list[Entry]], Path], tmp_path: Path, name: str) -> None:
    archive = make(tmp_path / "a", [(name, b"x")])
    with pytest.raises(InputError, match="refused: its member") as caught:
        unpack(archive, tmp_path / "out", quiet)
    assert repr(name) in str(caught.value)
    assert str(archive) in str(caught.value)
    assert content(tmp_path) == {"a": archive.read_bytes()}


@pytest.mark.parametrize("second", ["a", "./a"])
def test_refuses_duplicates(make: Callable[[Path, list[Entry]], Path], tmp_path: Path, second: str) -> None:
    with pytest.raises(InputError, match="twice"):
        unpack(make(tmp_path / "a", [("a", b"1"), (second, b"2")]), tmp_path / "out", quiet)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_refuses_links_and_devices_in_zip(tmp_path: Path, kind: int) -> None:
    with pytest.raises(InputError, match="link or a special file"):
        unpack(zip_of(tmp_path / "a", [("x", b"/etc/passwd")], mode=kind | 0o777), tmp_path / "out", quiet)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_refuses_links_and_devices_in_tar(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(InputError, match="link or a special file"):
        unpack(tar_of(tmp_path / "a", [("x", b"")], type=kind, linkname="/etc/passwd"), tmp_path / "out", quiet)


def test_unpacked_files_are_not_executable(tmp_path: Path) -> None:
    unpack(zip_of(tmp_path / "z", [("zip", b"#!")], mode=stat.S_IFREG | 0o4777), tmp_path / "out", quiet)
    unpack(tar_of(tmp_path / "t", [("tar", b"#!")], mode=0o4777), tmp_path / "out", quiet)
    assert not any(path.stat().st_mode & 0o7111 for path in (tmp_path / "out").iterdir())


def test_refuses_encrypted_members(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a", [("x", b"secret")])
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        unpack(archive, tmp_path / "out", quiet)


def test_refuses_unknown_compression(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a", [("x", b"text")])
    data = bytearray(archive.read_bytes())
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 99
    archive.write_bytes(data)
    with pytest.raises(InputError, match="unsupported method"):
        unpack(archive, tmp_path / "out", quiet)


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz"])
@pytest.mark.parametrize("name", ["zeros", "._zeros"])
def test_refuses_bombs(tmp_path: Path, kind: str, name: str) -> None:
    archive = MAKERS[kind](tmp_path / "a", [(name, bytes(12 << 20))])
    if kind == "zip" and name == "._zeros":  # never opened
        assert unpack(archive, tmp_path / "out", quiet) == 0
        return
    with pytest.raises(InputError, match="zeros' brings the content over"):
        unpack(archive, tmp_path / "out", quiet)
    assert content(tmp_path / "out") == {}


def test_refuses_a_bomb_of_empty_files(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a", [(f"{number:06}", b"") for number in range(5_000)], "w:xz")
    with pytest.raises(InputError, match="brings the content over 1048576 bytes"):
        unpack(archive, tmp_path / "out", quiet, limit=FREE_BYTES)
    assert len(list((tmp_path / "out").iterdir())) < 3_000


def test_unpack_limits_the_size_to_that_stated(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a", [("zeros", bytes(12 << 20))])
    data = bytearray(archive.read_bytes())
    for place in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):  # the uncompressed size
        data[place : place + 4] = (1000).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        unpack(archive, tmp_path / "out", quiet)
    assert sum(map(len, content(tmp_path / "out").values())) <= 1000


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_huge_names_are_refused(tmp_path: Path, form: int) -> None:
    with tarfile.open(tmp_path / "a", "w:gz", format=form) as archive:
        archive.addfile(tarfile.TarInfo("x" * (16 << 20)))
    tracemalloc.start()
    with pytest.raises(InputError, match="damaged"):
        unpack(tmp_path / "a", tmp_path / "out", quiet)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_refuses_more_than_the_limit(make: Callable[[Path, list[Entry]], Path], tmp_path: Path) -> None:
    archive = make(tmp_path / "a", list(FILES.items()))
    with pytest.raises(InputError, match=r"'images/a\.jpg' brings the content over 1000 bytes"):
        unpack(archive, tmp_path / "out", quiet, limit=1000)


def test_small_archives_may_be_of_zeros(make: Callable[[Path, list[Entry]], Path], tmp_path: Path) -> None:
    archive = make(tmp_path / "a", [("zeros", bytes(FREE_BYTES - tarfile.BLOCKSIZE))])
    assert unpack(archive, tmp_path / "out", quiet) == 1


def test_full_disk_is_noticed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    for kind in ("zip", "tar"):
        with pytest.raises(InputError, match="GB free"):
            unpack(MAKERS[kind](tmp_path / kind, list(FILES.items())), tmp_path / "out", quiet)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.6, 0.9])
def test_truncated_archives(make: Callable[[Path, list[Entry]], Path], tmp_path: Path, part: float) -> None:
    noise = b"".join((i * i * 2654435761 % 2**32).to_bytes(4, "little") for i in range(2_000))
    archive = make(tmp_path / "a", [(f"{i}", noise[i:]) for i in range(5)])
    data = archive.read_bytes()
    size = len(data.rstrip(b"\0"))
    archive.write_bytes(data[: int(size * part)])
    with pytest.raises(InputError, match="damaged"):
        unpack(archive, tmp_path / "out", quiet)


@pytest.mark.parametrize("damage", [b"", b"\xff" * 512])
def test_tar_truncated_between_members(tmp_path: Path, damage: bytes) -> None:
    archive = tar_of(tmp_path / "a", [("a", bytes(512)), ("b", bytes(512))])
    archive.write_bytes(archive.read_bytes()[:1024] + damage)
    with pytest.raises(InputError, match="damaged"):
        unpack(archive, tmp_path / "out", quiet)


def test_corrupted_content_is_noticed(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a", [("a", b"some text")])
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 16] ^= 1  # the checksum
    archive.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        unpack(archive, tmp_path / "out", quiet)


def test_file_in_place_of_a_directory(make: Callable[[Path, list[Entry]], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack(make(tmp_path / "a", [("a", b"1"), ("a/b", b"2")]), tmp_path / "out", quiet)


def test_non_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("<html>")
    with pytest.raises(InputError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "out", quiet)
    with pytest.raises(InputError, match=r"cannot be unpacked.*No such file"):
        unpack(tmp_path / "b.zip", tmp_path / "out", quiet)


def test_forged_lzma_dictionary_size_costs_no_memory(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x1c" + bytes([255]) * 12 + bytes(64))
    with limited_memory(), pytest.raises(InputError, match="is damaged or cut short"):
        unpack(tmp_path / "a", tmp_path / "out", quiet)
