"""A local server for downloads."""

from collections.abc import Iterator

import pytest

from tests.support.misbehaving_server import Server, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server; proxies of the environment are not asked for it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server
