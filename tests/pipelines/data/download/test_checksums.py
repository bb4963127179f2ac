"""Digests that are not published: recorded at the first download, then enforced."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.data.dataset import Archive
from pipelines.data.download.fetch import Downloaded, fetch, read_checksums, record_checksum
from pipelines.data.download.http import RetryPolicy
from schemas.errors import ArtifactError, DownloadError
from tests.support.misbehaving_server import Server, full


def get(server: Server, directory: Path, **promises: str) -> Downloaded:
    archive = Archive("a b.bin", (f"{server.url}/a",), **promises)
    return fetch(archive, directory, (), lambda fraction, message: None, RetryPolicy(attempts=1))


def test_changed_content_is_refused(server: Server, tmp_path: Path) -> None:
    server.script = [full(b"content")]
    first = get(server, tmp_path)
    record_checksum(tmp_path, "a b.bin", first.sha256)
    first.path.unlink()
    server.script = [full(b"tampered with")]
    with pytest.raises(DownloadError, match=r"as first downloaded; .* remove its line from .*SHA256SUMS"):
        get(server, tmp_path)
    server.script = [full(b"content")]
    assert get(server, tmp_path) == first


def test_corrupted_file_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    server.script = [full(b"content")]
    first = get(server, tmp_path)
    record_checksum(tmp_path, "a b.bin", first.sha256)
    first.path.write_bytes(b"kontent")
    assert get(server, tmp_path).path.read_bytes() == b"content"


def test_published_digest_takes_precedence(server: Server, tmp_path: Path) -> None:
    server.script = [full(b"content")]
    sha256 = get(server, tmp_path).sha256
    record_checksum(tmp_path, "a b.bin", "0" * 64)
    assert get(server, tmp_path, sha256=sha256).sha256 == sha256


def test_recorded_once_and_sorted(tmp_path: Path) -> None:
    for name, sha256 in (("b", "1" * 64), ("a c", "2" * 64), ("b", "3" * 64)):
        record_checksum(tmp_path, name, sha256)
    assert list(read_checksums(tmp_path).items()) == [("a c", "2" * 64), ("b", "1" * 64)]


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="needs sha256sum")
def test_checksums_have_the_sha256sum_format(server: Server, tmp_path: Path) -> None:
    server.script = [full(b"content")]
    record_checksum(tmp_path, "a b.bin", get(server, tmp_path).sha256)
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("line", ["x", "", "0" * 63 + "  a", "0" * 64 + " a", "0" * 64 + "  "])
def test_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "SHA256SUMS").write_text("0" * 64 + "  a\n" + line + "\n")
    with pytest.raises(ArtifactError, match=r"SHA256SUMS, line 2"):
        read_checksums(tmp_path)
