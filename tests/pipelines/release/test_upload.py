"""Releases in directories and on stores of objects."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import storage
from pipelines.release.upload import is_published, publish
from pipelines.release.verify import verify_release
from schemas.errors import ConfigurationError, UploadError
from tests.support.toy_release import Toy


def send(release: Path, url: Path | str) -> int:
    return publish(release, str(url), lambda *_: None)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_upload_is_complete_and_minimal(toy: Toy, tmp_path: Path) -> None:
    release, place = toy.release(), tmp_path / "www" / "toys"
    (release / "provenance.json").write_text("{}")  # of the artifact
    assert not is_published(release, str(place))
    assert send(release, f"{place}/") == len(names(release)) - 1
    assert names(place) == names(release) - {"provenance.json"}
    assert verify_release(place) == []
    assert is_published(release, str(place))
    assert send(release, place) == 0


def test_interrupted_upload_shows_no_release_and_resumes(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, place = toy.release(), tmp_path / "www"
    total, sent = len(names(release)), []
    real = storage.upload

    def stops(source: Path, target: str) -> None:
        if len(sent) == 5:
            raise OSError("the network is down")
        real(source, target)
        sent.append(target)

    monkeypatch.setattr(storage, "upload", stops)
    with pytest.raises(UploadError, match=r"the network is down.*run the command again"):
        send(release, place)
    assert len(names(place)) == 5 and "SHA256SUMS" not in names(place)
    assert not is_published(release, str(place))
    Path(sent[0]).write_text("half")  # and one file was corrupted
    monkeypatch.undo()
    assert send(release, place) == total - 4
    assert verify_release(place) == []


def test_index_is_uploaded_last(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release, place, seen = toy.release(), tmp_path / "www", []
    real = storage.upload

    def watched(source: Path, target: str) -> None:
        seen.append("SHA256SUMS" in names(place))
        real(source, target)

    monkeypatch.setattr(storage, "upload", watched)
    total = send(release, place)
    assert seen == [False] * total
    assert "SHA256SUMS" in names(place)


def test_another_release_is_not_overwritten(toy: Toy, tmp_path: Path) -> None:
    place = tmp_path / "www"
    send(toy.release("first"), place)
    before = {name: (place / name).read_bytes() for name in names(place)}
    with pytest.raises(ConfigurationError, match="www contains another release; choose an empty directory"):
        send(toy.release("second", dtype="float32"), place)
    assert before == {name: (place / name).read_bytes() for name in names(place)}


@pytest.mark.parametrize("url", ["nowhere://bucket/toys", "s3n://bucket/toys"])
def test_unknown_protocols_are_refused(toy: Toy, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"No file system supports .*check the URL"):
        send(toy.release(), url)


def test_unwritable_destinations_are_refused(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UploadError, match="cannot be reached or written"):
        send(toy.release(), tmp_path / "file" / "toys")


def test_release_on_a_store_is_complete_and_sent_once(toy: Toy, bucket: str, tmp_path: Path) -> None:
    release, place = toy.release(), f"{bucket}/toys"
    storage.write(f"{place}/README.md", b"half")  # of an interrupted upload
    assert not is_published(release, place)
    total = len(names(release))
    assert send(release, place) == total
    assert is_published(release, place)
    for name in names(release):
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        storage.download(f"{place}/{name}", tmp_path / "copy" / name)
    assert verify_release(tmp_path / "copy") == []
    assert send(release, place) == 0
    with pytest.raises(ConfigurationError, match="contains another release"):
        send(toy.release("second", dtype="float32"), place)


def test_refusing_store_is_one_sentence(
    toy: Toy, new_bucket: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    release, bucket = toy.release(), new_bucket("s3")
    with pytest.raises(
        UploadError, match=r"^s3://absent/toys cannot be reached or written \(.* does not exist \(.*bucket"
    ):
        send(release, "s3://absent/toys")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    storage.configure({"s3": {"use_ssl": False}})  # drops the client that has the right key
    with pytest.raises(UploadError, match=r"^s3://\S+/toys cannot be reached or written \(.*with these credentials"):
        send(release, f"{bucket}/toys")
