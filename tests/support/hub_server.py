"""A server on this machine that speaks the endpoints of the Hugging Face Hub that downloads need."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """The server.

    Attributes:
        repositories: Directory of files by kind and name, such as `models/USER/NAME`.
        url: Its address, the value of HF_ENDPOINT.
        requests: Methods and paths of the requests, in order.
    """

    repositories: dict[str, Path]
    url: str = ""
    requests: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for a path."""
        parts = unquote(urlsplit(path).path).strip("/").split("/")
        if parts[0] == "api":
            kind, name, action, revision = parts[1], "/".join(parts[2:4]), parts[4:5], parts[5:6]
            files = self.repositories.get(f"{kind}/{name}")
            if files is None:
                return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
            if revision and revision[0] not in ("main", COMMIT):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
            if action == ["tree"]:
                body = [_describe(files, file) for file in _files(files)]
                return 200, {}, json.dumps(body).encode()
            siblings = [{"rfilename": file.relative_to(files).as_posix()} for file in _files(files)]
            return 200, {}, json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()
        kind = "datasets" if parts[0] == "datasets" else "models"
        parts = parts[1:] if kind == "datasets" else parts
        path_ = self.repositories[f"{kind}/{'/'.join(parts[:2])}"].joinpath(*parts[4:])
        if not path_.is_file():
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        data = path_.read_bytes()
        return 200, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT}, data


def _files(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.rglob("*")) if path.is_file()]


def _describe(directory: Path, file: Path) -> dict[str, str | int]:
    name, data = file.relative_to(directory).as_posix(), file.read_bytes()
    return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}


@contextmanager
def serve_hub(repositories: dict[str, Path]) -> Iterator[Hub]:
    """Serve directories as repositories."""
    hub = Hub(repositories)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, with_body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            status, headers, body = hub.answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield hub
        server.shutdown()
        thread.join()
