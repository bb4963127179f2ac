"""Downloads from a real server with scripted misbehavior."""

import hashlib
import io
import re
import shutil
import tarfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.data.dataset import Archive
from pipelines.data.download import fetch as download
from pipelines.data.download import progress
from pipelines.data.download.fetch import fetch
from pipelines.data.download.http import SPARE_BYTES, RetryPolicy
from schemas.errors import DownloadError
from tests.support.misbehaving_server import Server, cut, full, ranged, status

QUICK = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002, connect_timeout=2, read_timeout=0.3)


def zip_bytes(size: int = 100_000) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.bin", bytes(i * i % 251 for i in range(size)))
    return buffer.getvalue()


CONTENT = zip_bytes()
DIGEST = hashlib.sha256(CONTENT).hexdigest()
HTML = b"<!DOCTYPE html><html><body>Sign in to continue</body></html>"


def archive(server: Server, **promises: object) -> Archive:
    return Archive("a b.zip", (f"{server.url}/first.zip", f"{server.url}/second.zip"), **promises)


def get(archive: Archive, directory: Path, mirrors: tuple[str, ...] = ()) -> download.Downloaded:
    result = fetch(archive, directory, mirrors, lambda fraction, message: None, QUICK)
    assert result.path.read_bytes() == CONTENT
    assert (result.size, result.sha256) == (len(CONTENT), DIGEST)
    assert names(directory) in ([], ["a b.zip"])
    return result


def names(directory: Path) -> list[str]:
    """Return the names of the files in a directory, except locks."""
    return sorted(path.name for path in directory.iterdir() if path.is_file() and not path.name.endswith(".lock"))


def paths(server: Server) -> list[str]:
    return [path for path, _ in server.requests]


def test_downloads_and_remembers(server: Server, tmp_path: Path) -> None:
    server.script = [full(CONTENT)]
    result = get(archive(server, size=len(CONTENT), sha256=DIGEST.upper()), tmp_path)
    assert result.path == tmp_path / "a b.zip"
    assert result.url == f"{server.url}/first.zip"
    assert "Range" not in server.requests[0][1]
    get(archive(server, sha256=DIGEST), tmp_path)
    assert len(server.requests) == 1


def test_mirror_comes_first_and_its_name_is_quoted(server: Server, tmp_path: Path) -> None:
    server.script = [full(CONTENT)]
    assert get(archive(server), tmp_path, (f"{server.url}/mirror/",)).url.endswith("/mirror/a%20b.zip")
    assert paths(server) == ["/mirror/a%20b.zip"]


def test_resumes_after_a_short_body(server: Server, tmp_path: Path) -> None:
    server.script = [cut(CONTENT, 40_000), ranged(CONTENT)]
    get(archive(server), tmp_path)
    assert server.requests[1][1]["Range"] == "bytes=40000-"
    assert server.requests[1][1]["If-Range"] == '"1"'


def test_resumes_what_an_earlier_run_left(server: Server, tmp_path: Path) -> None:
    server.script = [cut(CONTENT, 10), cut(CONTENT, 0)]
    wanted = Archive("a b.zip", (f"{server.url}/only.zip",))
    with pytest.raises(DownloadError, match="the connection failed"):
        get(wanted, tmp_path)
    server.requests.clear()
    server.script = [ranged(CONTENT)]
    get(wanted, tmp_path)
    assert [headers.get("Range") for _, headers in server.requests] == ["bytes=10-"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": "URL"}'])
def test_damaged_metadata_restarts_the_download(server: Server, tmp_path: Path, text: str) -> None:
    (tmp_path / "a b.zip.part").write_bytes(b"partial")
    (tmp_path / "a b.zip.part.json").write_text(text.replace("URL", f"{server.url}/first.zip"))
    server.script = [ranged(CONTENT)]
    get(archive(server), tmp_path)
    assert "Range" not in server.requests[0][1]


def test_goes_on_as_long_as_bytes_come(server: Server, tmp_path: Path) -> None:
    server.script = [cut(CONTENT, len(CONTENT) // 20)]
    get(archive(server), tmp_path)
    assert set(paths(server)) == {"/first.zip"}
    assert len(server.requests) > 4 * QUICK.attempts


def test_complete_part_is_verified_without_a_request(server: Server, tmp_path: Path) -> None:
    server.script = [cut(CONTENT, 40_000), status(404)]
    with pytest.raises(DownloadError):
        get(archive(server), tmp_path)
    (tmp_path / "a b.zip.part").write_bytes(CONTENT)
    server.requests.clear()
    get(archive(server), tmp_path)
    assert not server.requests


def test_server_without_ranges_restarts_the_download(server: Server, tmp_path: Path) -> None:
    server.script = [cut(CONTENT, 40_000), full(CONTENT)]
    get(archive(server), tmp_path)
    assert "Range" in server.requests[1][1]


def test_changed_file_restarts_the_download(server: Server, tmp_path: Path) -> None:
    server.script = [cut(CONTENT, 40_000, etag='"0"'), ranged(CONTENT)]
    get(archive(server), tmp_path)
    assert server.requests[1][1]["If-Range"] == '"0"'


def test_weak_tag_is_no_ground_to_resume(server: Server, tmp_path: Path) -> None:
    server.script = [cut(CONTENT, 40_000, etag='W/"0"'), ranged(CONTENT)]
    get(archive(server), tmp_path)
    assert "Range" not in server.requests[1][1]


def test_lie_about_the_range_is_refused(server: Server, tmp_path: Path) -> None:
    server.script = [cut(CONTENT, 40_000), ranged(CONTENT, shift=-7), ranged(CONTENT)]
    get(archive(server), tmp_path)
    assert [headers.get("Range") for _, headers in server.requests] == [None, "bytes=40000-", None]


def test_unrequested_range_is_refused(server: Server, tmp_path: Path) -> None:
    half = lambda handler: handler.send(206, CONTENT[50:], Content_Range=f"bytes 50-{len(CONTENT) - 1}/{len(CONTENT)}")  # noqa: E731
    server.script = [half, full(CONTENT)]
    assert get(archive(server), tmp_path).url.endswith("/second.zip")


def test_range_beyond_the_end_restarts_the_download(server: Server, tmp_path: Path) -> None:
    server.script = [cut(CONTENT, 40_000), status(416), full(CONTENT)]
    get(archive(server), tmp_path)
    assert "Range" not in server.requests[2][1]


@pytest.mark.parametrize("code", [429, 500, 503])
def test_transient_errors_are_retried(server: Server, tmp_path: Path, code: int) -> None:
    server.script = [status(code), status(code), full(CONTENT)]
    get(archive(server), tmp_path)
    assert paths(server) == ["/first.zip"] * 3


def test_timeout_is_retried(server: Server, tmp_path: Path) -> None:
    stop = threading.Event()
    server.script = [lambda handler: stop.wait(2) and None, full(CONTENT)]
    get(archive(server), tmp_path)
    stop.set()
    assert paths(server) == ["/first.zip"] * 2


@pytest.mark.parametrize("code", [403, 404])
def test_refusal_moves_on_at_once(server: Server, tmp_path: Path, code: int) -> None:
    server.script = [status(code), full(CONTENT)]
    get(archive(server), tmp_path)
    assert paths(server) == ["/first.zip", "/second.zip"]


def test_web_page_in_place_of_an_archive_is_refused(server: Server, tmp_path: Path) -> None:
    server.script = [lambda handler: handler.send(200, HTML), full(CONTENT)]
    get(archive(server), tmp_path)
    server.script = [lambda handler: handler.send(200, HTML)]
    with pytest.raises(DownloadError, match="it is a web page"):
        fetch(archive(server), tmp_path / "other", (), lambda fraction, message: None, QUICK)
    assert not names(tmp_path / "other")


def test_unexpected_bytes_or_size_are_refused(server: Server, tmp_path: Path) -> None:
    server.script = [
        lambda handler: handler.send(200, CONTENT[:-1] + b"x"),
        lambda handler: handler.send(200, b"PK"),
        full(CONTENT),
    ]
    promised = archive(server, size=len(CONTENT), sha256=DIGEST)
    get(promised, tmp_path, (f"{server.url}/mirror",))
    assert paths(server) == ["/mirror/a%20b.zip", "/first.zip", "/second.zip"]


def test_error_lists_the_attempts(server: Server, tmp_path: Path) -> None:
    server.script = [status(404), status(500)]
    with pytest.raises(DownloadError) as caught:
        get(archive(server), tmp_path, (str(tmp_path / "nowhere"), "ftp://example.org", "http://127.0.0.1:1"))
    message = str(caught.value)
    for part in ("nowhere/a b.zip (there is no such file)", "only http and https are followed", "Connection refused"):
        assert part in message
    assert "first.zip (the server reports 404" in message
    assert "second.zip (the server reports 500" in message
    assert "mirror" in message


def test_redirect_to_a_local_file_is_not_followed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "secret.zip").write_bytes(CONTENT)
    server.script = [lambda handler: handler.send(302, b"", Location=f"file://{tmp_path}/secret.zip"), status(404)]
    with pytest.raises(DownloadError, match=r"only http and https are followed .*file://"):
        get(archive(server), tmp_path / "directory")


def test_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    server.script = [lambda handler: handler.send(302, b"", Location="/moved"), cut(CONTENT, 9), full(CONTENT)]
    get(archive(server), tmp_path)
    assert paths(server) == ["/first.zip", "/moved", "/first.zip"]


@pytest.mark.parametrize("form", ["path", "relative", "file"])
def test_local_mirror_is_used_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    folder = tmp_path / "my files"
    folder.mkdir()
    (folder / "a b.zip").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    mirror = {"path": str(folder), "relative": "my files", "file": folder.as_uri()}[form]
    result = get(Archive("a b.zip", (), len(CONTENT), DIGEST), tmp_path / "directory", (mirror,))
    assert result.path == folder / "a b.zip"
    assert result.url == (folder / "a b.zip").as_uri()
    assert not names(tmp_path / "directory")


def test_wrong_local_file_is_left_alone(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a b.zip").write_bytes(CONTENT[:-1])
    server.script = [full(CONTENT)]
    result = get(archive(server, sha256=DIGEST), tmp_path / "directory", (str(folder),))
    assert result.path == tmp_path / "directory" / "a b.zip"
    assert (folder / "a b.zip").read_bytes() == CONTENT[:-1]


def test_full_disk_is_noticed_before(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=SPARE_BYTES + 10))
    server.script = [full(CONTENT)]
    with pytest.raises(DownloadError, match="GB free"):
        get(archive(server), tmp_path)


def test_unwritable_part_file_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a b.zip.part").mkdir()
    server.script = [full(CONTENT)]
    with pytest.raises(DownloadError, match=r"a b\.zip\.part failed .*Is a directory"):
        get(archive(server), tmp_path)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_tar_archives_are_known_by_their_first_bytes(tmp_path: Path, suffix: str) -> None:
    mode = {".tar": "w", ".tgz": "w:gz"}.get(suffix, f"w:{suffix[5:]}")
    with tarfile.open(tmp_path / f"a{suffix}", mode) as tar:
        tar.add(__file__, "test.py")
    wanted = Archive(f"a{suffix}", ())
    assert fetch(wanted, tmp_path / "directory", (str(tmp_path),), lambda fraction, message: None).size > 0
    (tmp_path / f"a{suffix}").write_bytes(HTML * 20)
    with pytest.raises(DownloadError, match="web page"):
        fetch(wanted, tmp_path / "directory", (str(tmp_path),), lambda fraction, message: None)


def test_progress_tells_rate_and_time_left(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_REPORTS", 0.0)
    server.script = [status(500), full(CONTENT)]
    told: list[tuple[float, str]] = []
    fetch(archive(server), tmp_path, (), lambda fraction, message: told.append((fraction, message)), QUICK)
    assert any("500" in message and "next try" in message for _, message in told)
    assert any(re.search(r"of 0\.1 MB, [\d.]+ MB/s, 0:00:0\d left", message) for _, message in told)
    assert told[-1] == (1.0, "a b.zip: complete")
    assert all(0 <= fraction <= 1 for fraction, _ in told)
