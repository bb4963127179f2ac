"""Releases put where others can fetch them, by Beam's file systems."""

from pathlib import Path

import pytest

from pipelines.release import upload
from pipelines.release.upload import is_published, publish
from pipelines.release.verify import verify_release
from schemas.errors import ConfigurationError, UploadError
from tests.support.toy_release import Toy


def send(release: Path, url: Path | str) -> int:
    return publish(release, str(url), lambda *_: None)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_all_is_there_and_nothing_more(toy: Toy, tmp_path: Path) -> None:
    release, place = toy.release(), tmp_path / "www" / "toys"
    (release / "provenance.json").write_text("{}")  # of the artifact
    assert not is_published(release, str(place))
    assert send(release, f"{place}/") == len(names(release)) - 1
    assert names(place) == names(release) - {"provenance.json"}
    assert verify_release(place) == []
    assert is_published(release, str(place))
    assert send(release, place) == 0


def test_an_upload_that_stopped_shows_no_release_and_goes_on(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, place = toy.release(), tmp_path / "www"
    total, sent = len(names(release)), []
    real = upload._send

    def stops(source: Path, target: str) -> None:
        if len(sent) == 5:
            raise OSError("the network is down")
        real(source, target)
        sent.append(target)

    monkeypatch.setattr(upload, "_send", stops)
    with pytest.raises(UploadError, match=r"the network is down.*run the command again"):
        send(release, place)
    assert len(names(place)) == 5 and "SHA256SUMS" not in names(place)
    assert not is_published(release, str(place))
    Path(sent[0]).write_text("half")  # and one file was spoilt
    monkeypatch.undo()
    assert send(release, place) == total - 4
    assert verify_release(place) == []


def test_the_index_is_the_last_to_appear(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release, place, seen = toy.release(), tmp_path / "www", []
    real = upload._send

    def watched(source: Path, target: str) -> None:
        seen.append("SHA256SUMS" in names(place))
        real(source, target)

    monkeypatch.setattr(upload, "_send", watched)
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
def test_places_that_no_file_system_knows(toy: Toy, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"No file system supports .*install the extra"):
        send(toy.release(), url)


def test_places_that_cannot_be_written(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UploadError, match="cannot be reached or written"):
        send(toy.release(), tmp_path / "file" / "toys")
