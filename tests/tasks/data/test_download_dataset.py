"""DownloadDataset downloads, verifies, unpacks and records a dataset's archives."""

import io
import zipfile
from collections.abc import Iterator

import pytest

from pipelines.data.dataset import Archive
from pipelines.data.datasets.flickr8k import Flickr8k
from schemas.errors import DownloadError
from schemas.io.files import read_json
from tasks.data.download_dataset import DownloadDataset
from tasks.runtime.executor import StageFailed
from tasks.runtime.workspace import Workspace
from tests.support.misbehaving_server import Server, by_path, full, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server


def packed(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), content)  # without the time: the same bytes whenever it is packed
    return stream.getvalue()


def dataset(server, data_dir, **parameters):
    return DownloadDataset(dataset="flickr8k", data_dir=str(data_dir), mirrors=[server.url], **parameters)


def test_archives_are_unpacked_and_recorded(server, data_dir, run):
    images, text = packed("Flicker8k_Dataset/a.jpg", b"some bytes"), packed("Flickr8k.token.txt", b"a.jpg#0\tA dog .\n")
    server.script = [by_path(Flickr8k_Dataset=full(images), Flickr8k_text=full(text))]
    first = dataset(server, data_dir)
    assert run(first)
    assert (first.directory / "files" / "Flicker8k_Dataset" / "a.jpg").read_bytes() == b"some bytes"
    manifest = read_json(first.directory / "manifest.json")
    assert [archive["name"] for archive in manifest["archives"]] == ["Flickr8k_Dataset.zip", "Flickr8k_text.zip"]
    assert manifest["archives"][0]["url"] == f"{server.url}/Flickr8k_Dataset.zip"

    recorded = (first.directory.parent / "archives" / "SHA256SUMS").read_text()
    assert all(f"{archive['sha256']}  {archive['name']}\n" in recorded for archive in manifest["archives"])


def test_recorded_checksum_is_enforced(server, data_dir, monkeypatch):
    archive = Archive("Flickr8k_text.zip", (f"{server.url}/Flickr8k_text.zip",))
    monkeypatch.setattr(Flickr8k, "archives", (archive,))

    def work(content):
        server.script = [full(packed("Flickr8k.token.txt", content))]
        stage = DownloadDataset(dataset="flickr8k", data_dir=str(data_dir))
        stage.directory.mkdir(parents=True, exist_ok=True)
        stage.work(Workspace(stage.directory, {}, lambda fraction, message: None))
        return stage.directory.parent / "archives" / archive.name

    work(b"a.jpg#0\tA dog .\n").unlink()
    with pytest.raises(DownloadError, match=r"Flickr8k_text\.zip could not be downloaded: .*as first downloaded"):
        work(b"a.jpg#0\tA cat .\n")
    assert work(b"a.jpg#0\tA dog .\n").exists()


def test_archive_that_cannot_be_unpacked_is_not_recorded(server, data_dir):
    bad = bytearray(packed("a", b"some bytes"))
    bad[bad.index(b"some bytes")] ^= 1
    server.script = [full(bytes(bad))]
    with pytest.raises(StageFailed, match="damaged"):
        dataset(server, data_dir).run()
    assert not list(data_dir.rglob("SHA256SUMS"))
