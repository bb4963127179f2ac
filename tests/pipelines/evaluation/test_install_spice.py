"""`mrnn metrics install spice` against a server on this machine in place of Maven Central."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.metrics.scorers import spice
from pipelines.evaluation import install_spice
from schemas.errors import DownloadError
from tests.support.misbehaving_server import Answer, Server, by_path, cut, full, ranged, serving, status

CONTENTS = {f"{name}-1.0.jar": b"PK\x03\x04" + name.encode() * 5000 for name in ("parser", "models", "nashorn")}
JARS = [
    spice.Jar(f"org/{name}", len(content), hashlib.sha256(content).hexdigest()) for name, content in CONTENTS.items()
]


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that has the jars, which are small, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(install_spice, "JARS", JARS)
    with serving() as server:
        monkeypatch.setattr(install_spice, "MAVEN_CENTRAL", server.url)
        serve(server)
        yield server


def serve(server: Server, **others: Answer) -> None:
    """Answer with the jars, but for those that are named."""
    answers = {name.removesuffix(".0.jar"): ranged(content) for name, content in CONTENTS.items()}
    server.script = [by_path(**(answers | {f"{name}-1": answer for name, answer in others.items()}))]
    server.requests.clear()


def install(*mirrors: str) -> Path:
    return install_spice.install_spice(mirrors, lambda fraction, message: None)


def assert_installed(directory: Path) -> None:
    assert {name: (directory / name).read_bytes() for name in CONTENTS} == CONTENTS
    assert not list(directory.glob("*.part"))


def test_jars_are_fetched_once_to_the_directory_of_the_scorer(maven: Server) -> None:
    directory = install()
    assert directory == spice.jar_directory()
    assert_installed(directory)
    assert sorted(path for path, _ in maven.requests) == sorted(f"/{jar.path}" for jar in JARS)
    maven.requests.clear()
    install()
    assert maven.requests == []


def test_jar_with_another_checksum_is_refused_until_it_is_right(maven: Server) -> None:
    serve(maven, models=full(CONTENTS["models-1.0.jar"][::-1]))
    with pytest.raises(DownloadError, match=r"models-1\.0\.jar could not be downloaded: .*its SHA-256 is"):
        install()
    assert not (spice.jar_directory() / "models-1.0.jar").exists()
    serve(maven)
    assert_installed(install())


def test_damaged_jar_is_fetched_again(maven: Server) -> None:
    directory = install()
    (directory / "parser-1.0.jar").write_bytes(b"PK\x03\x04")
    maven.requests.clear()
    assert_installed(install())
    assert [path for path, _ in maven.requests] == ["/org/parser-1.0.jar"]


def test_interrupted_download_is_resumed(maven: Server) -> None:
    served = [cut(CONTENTS["models-1.0.jar"], 1000), status(404)]
    serve(maven, models=lambda handler: served.pop(0)(handler))
    with pytest.raises(DownloadError, match=r"models-1\.0\.jar could not be downloaded"):
        install()
    assert (spice.jar_directory() / "models-1.0.jar.part").stat().st_size == 1000
    serve(maven)
    assert_installed(install())
    (headers,) = (headers for path, headers in maven.requests if "models" in path)
    assert headers["Range"] == "bytes=1000-"


def test_jars_of_a_folder_are_linked_also_over_damaged_ones(maven: Server, tmp_path: Path) -> None:
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    assert_installed(install(str(tmp_path)))
    assert maven.requests == []
    jar = spice.jar_directory() / "parser-1.0.jar"
    jar.unlink()
    jar.write_bytes(b"damaged")
    assert_installed(install(str(tmp_path)))
    assert jar.resolve() == tmp_path / "parser-1.0.jar"
