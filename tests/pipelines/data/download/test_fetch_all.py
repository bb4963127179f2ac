"""Several files at once: in order, within the disk's space, and stopped together."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.data.dataset import Archive
from pipelines.data.download import progress
from pipelines.data.download.fetch import CONNECTIONS, Downloaded, fetch_all
from pipelines.data.download.http import SPARE_BYTES, RetryPolicy
from schemas.errors import DownloadError
from tests.support.misbehaving_server import Handler, Server, by_path, full, status

QUICK = RetryPolicy(attempts=2, first_wait=0.001, longest_wait=300, connect_timeout=2, read_timeout=1)
SIZE = 300_000


def archives(server: Server, *names: str, size: int | None = SIZE) -> list[Archive]:
    return [Archive(f"{name}.bin", (f"{server.url}/{name}.bin",), size) for name in names]


def get(wanted: list[Archive], directory: Path, mirrors: tuple[str, ...] = ()) -> list[Downloaded]:
    return fetch_all(wanted, directory, mirrors, lambda fraction, message: None, QUICK)


def endless(handler: Handler) -> None:
    """Sends a little now and then, for half a minute."""
    handler.send(200, b"", SIZE, ETag='"1"')
    for _ in range(600):
        handler.wfile.write(bytes(100))
        time.sleep(0.05)


def test_downloads_are_concurrent_and_ordered(server: Server, tmp_path: Path) -> None:
    names = "abcd"[:CONNECTIONS]
    together = threading.Barrier(CONNECTIONS)

    def answer(handler: Handler) -> None:
        together.wait(timeout=5)  # breaks unless all of them are asked for meanwhile
        handler.send(200, handler.path[1].encode() * SIZE)

    server.script = [answer]
    found = get(archives(server, *names), tmp_path)
    assert [each.path.read_bytes()[:1].decode() for each in found] == list(names)
    assert len(server.requests) == CONNECTIONS


def test_empty_download_list(tmp_path: Path) -> None:
    assert get([], tmp_path) == []


def test_failed_download_stops_the_others(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_REPORTS", 0.1)
    underway = threading.Event()

    def refuse(handler: Handler) -> None:
        underway.wait(5)
        handler.send(404, b"no")

    def slow(handler: Handler) -> None:
        underway.set()
        endless(handler)

    server.script = [by_path(slow=slow, waiting=status(503, Retry_After="200"), gone=refuse)]
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"^gone\.bin could not be downloaded: .*404"):
        get(archives(server, "slow", "waiting", "gone"), tmp_path)
    assert time.monotonic() - started < 5
    assert (tmp_path / "slow.bin.part").exists()  # to be resumed


def test_space_for_all_is_checked_before_any_comes(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SPARE_BYTES + 2 * SIZE - 1
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
    server.script = [full(bytes(SIZE))]
    with pytest.raises(DownloadError, match=r"a\.bin and b\.bin needs .* GB free"):
        get(archives(server, "a", "b"), tmp_path)
    assert not server.requests


def test_free_space_is_required_for_missing_bytes_only(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.bin").write_bytes(bytes(SIZE))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=SPARE_BYTES + SIZE))
    server.script = [full(bytes(SIZE))]
    found = get(archives(server, "a", "b"), tmp_path / "data", (str(folder),))
    assert [each.path.parent.name for each in found] == ["mine", "data"]


@pytest.mark.parametrize("size", [SIZE, None])
def test_progress_covers_all_downloads(server: Server, tmp_path: Path, size: int | None) -> None:
    server.script = [full(bytes(SIZE))]
    told: list[float] = []
    fetch_all(
        archives(server, "a", "b", size=size), tmp_path, (), lambda fraction, message: told.append(fraction), QUICK
    )
    assert 0.5 in told
    assert told[-1] == 1.0
    assert all(0 <= fraction <= 1 for fraction in told)
