"""Local servers: for downloads, and stores of objects."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines import storage
from tests.support.misbehaving_server import Server, serving
from tests.support.stores import Store, gcs_server, s3_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server, which is reached without proxies of the environment."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[Store]:
    with s3_server() as store:
        yield store


@pytest.fixture(scope="session")
def _gcs_server() -> Iterator[Store]:
    with gcs_server() as store:
        yield store


PROTOCOLS = ["s3", pytest.param("gs", marks=pytest.mark.portable)]


@pytest.fixture
def new_bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Make a bucket on the server of a protocol, whose variables are then set; returns its address."""

    def make(protocol: str) -> str:
        store: Store = request.getfixturevalue({"s3": "_s3_server", "gs": "_gcs_server"}[protocol])
        for name, value in {"NO_PROXY": "127.0.0.1", **store.variables}.items():
            monkeypatch.setenv(name, value)
        storage.configure({"gs": {"token": "anon"}})
        return store.new_bucket()

    yield make
    storage.configure({})


@pytest.fixture(params=PROTOCOLS)
def bucket(request: pytest.FixtureRequest, new_bucket: Callable[[str], str]) -> str:
    """The URL of a new bucket on a real server."""
    return new_bucket(request.param)


@pytest.fixture(params=["local", "memory", *PROTOCOLS])
def place(request: pytest.FixtureRequest, new_bucket: Callable[[str], str], tmp_path: Path) -> str:
    """A directory that does not exist yet, or the URL of one; fsspec's memory is written as HDFS is."""
    if request.param == "local":
        return str(tmp_path / "place")
    bucket = f"memory:/{tmp_path}" if request.param == "memory" else new_bucket(request.param)
    return f"{bucket}/place"
