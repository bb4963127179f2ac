"""`download.sh` against real servers, good and bad."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.release.verify import verify_release
from tests.support.toy_release import Toy

LARGE = "features/original_train.h5"


class Plain(SimpleHTTPRequestHandler):
    """Serves files as Python does: it knows no ranges."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append((self.path.lstrip("/"), self.headers.get("Range", "")))
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


class Ranges(Plain):
    """Serves the rest of a file when asked for it."""

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        path = Path(self.translate_path(self.path))
        if not wanted or not path.is_file():
            super().do_GET()
            return
        self.server.asked.append((self.path.lstrip("/"), wanted))
        content, start = path.read_bytes(), int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])


class Server(ThreadingHTTPServer):
    daemon_threads = True
    asked: list[tuple[str, str]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serve(release: Path, handler: type[Plain]) -> Iterator[Server]:
    """Serve a release."""
    with Server(("127.0.0.1", 0), partial(handler, directory=str(release))) as made:
        made.asked = []
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def server(toy: Toy) -> Iterator[Server]:
    """A server of the toy release that knows ranges."""
    with serve(toy.release(), Ranges) as made:
        yield made


@pytest.fixture(params=[Ranges, Plain])
def either_server(request: pytest.FixtureRequest, toy: Toy) -> Iterator[Server]:
    """The same with and without ranges, for downloads that continue a partial file."""
    with serve(toy.release(), request.param) as made:
        yield made


@pytest.fixture(params=["curl", "wget"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory of commands with this client and no other."""
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param}")
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in (request.param, "touch", "sh", "sha256sum", "cut", "mkdir", "mv", "rm"):
        (folder / command).symlink_to(str(shutil.which(command)))
    return folder


def download(toy: Toy, client: Path, *arguments: object, folder: str = ".") -> subprocess.CompletedProcess[str]:
    """Run the release's script in `folder`."""
    (toy.root / folder).mkdir(exist_ok=True)
    return subprocess.run(
        ["sh", str(toy.root / "release" / "download.sh"), *map(str, arguments)],
        cwd=toy.root / folder,
        env={**os.environ, "PATH": str(client), "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_script_fetches_and_verifies_once(toy: Toy, either_server: Server, client: Path) -> None:
    run = download(toy, client, either_server.url, "here/toys")
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("all checksums match.\n")
    assert verify_release(toy.root / "here" / "toys") == []
    either_server.asked.clear()
    assert download(toy, client, f"{either_server.url}/", "here/toys").returncode == 0
    assert [name for name, _ in either_server.asked] == ["SHA256SUMS"]


def test_script_resumes_a_partial_file(toy: Toy, either_server: Server, client: Path) -> None:
    content = (toy.root / "release" / LARGE).read_bytes()
    part = toy.root / "here" / f"{LARGE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:1000])
    run = download(toy, client, either_server.url, "here")
    assert run.returncode == 0, run.stderr
    assert (LARGE, "bytes=1000-") in either_server.asked
    assert verify_release(toy.root / "here") == []


@pytest.mark.parametrize("partial", [b"of another release", b"x" * 100_000])
def test_script_discards_a_partial_file_of_another_release(
    toy: Toy, either_server: Server, client: Path, partial: bytes
) -> None:
    part = toy.root / "here" / f"{LARGE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(partial)
    run = download(toy, client, either_server.url, "here")
    assert run.returncode == 0, run.stderr
    assert verify_release(toy.root / "here") == []


def test_script_replaces_a_damaged_file(toy: Toy, server: Server, client: Path) -> None:
    download(toy, client, server.url, "here")
    (toy.root / "here" / LARGE).write_bytes(b"damaged")
    server.asked.clear()
    assert download(toy, client, server.url, "here").returncode == 0
    assert {name for name, _ in server.asked} == {"SHA256SUMS", LARGE}
    assert verify_release(toy.root / "here") == []


def test_script_detects_other_files(toy: Toy, server: Server, client: Path) -> None:
    (toy.root / "release" / LARGE).write_bytes(b"something else")
    run = download(toy, client, server.url, "here")
    assert run.returncode == 1
    assert f"{LARGE} does not match SHA256SUMS" in run.stderr
    assert not (toy.root / "here" / LARGE).exists()
    assert not (toy.root / "here" / "SHA256SUMS").exists()


def test_script_names_an_unavailable_file(toy: Toy, server: Server, client: Path) -> None:
    (toy.root / "release" / LARGE).unlink()
    run = download(toy, client, server.url, "here")
    assert run.returncode == 1
    assert f"{LARGE} could not be downloaded" in run.stderr
    assert not (toy.root / "here" / "SHA256SUMS").exists()


def test_script_reports_a_missing_release_or_url(toy: Toy, server: Server, client: Path) -> None:
    run = download(toy, client, f"{server.url}/splits", "here")
    assert (run.returncode, "is not a release" in run.stderr) == (1, True)
    run = download(toy, client)
    assert (run.returncode, "the URL of the release is missing" in run.stderr) == (1, True)


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt", "a/../../outside.txt"])
def test_path_traversal_is_refused(toy: Toy, server: Server, client: Path, name: str) -> None:
    (toy.root / "release" / "SHA256SUMS").write_text(f"{'0' * 64}  {name}\n")
    run = download(toy, client, server.url, "here")
    assert run.returncode == 1
    assert "contains the invalid file name" in run.stderr


def test_script_can_contain_the_url(toy: Toy, server: Server, client: Path) -> None:
    toy.release(base_url=server.url)
    run = download(toy, client, folder="here")
    assert run.returncode == 0, run.stderr
    assert verify_release(toy.root / "here") == []


def test_script_does_not_execute_the_url(toy: Toy, client: Path) -> None:
    toy.release(base_url="'; touch harm; '")
    assert download(toy, client, folder="here").returncode == 1
    assert not (toy.root / "here" / "harm").exists()


def test_script_passes_shellcheck(toy: Toy) -> None:
    beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shellcheck = shutil.which("shellcheck", path=beside_python) or pytest.skip("there is no shellcheck")
    script = toy.release(base_url="https://releases.example/toys") / "download.sh"
    run = subprocess.run([shellcheck, "--shell=sh", str(script)], capture_output=True, text=True, check=False)
    assert run.stdout == "" and run.returncode == 0
