"""An HTTP server on this machine that a test scripts request by request."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Plays the server's script: an answer a request, the last one for ever."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        script = self.server.script
        (script.pop(0) if len(script) > 1 else script[0])(self)

    def send(self, status: int, body: bytes, promised: int | None = None, **headers: str) -> None:
        """An answer whose Content-Length is `promised`, or right; underscores in headers' names mean hyphens."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def start(self) -> int:
        """The byte that the request's Range begins with, 0 without one."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A server on a free port. `script`: what it answers; `requests`: the paths and headers it was asked for."""

    daemon_threads = True
    scheme = "http"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Answer] = []
        self.requests: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *arguments: object) -> None:
        pass  # a client that hangs up is what many tests are about


@contextmanager
def serving() -> Iterator[Server]:
    """A server that runs in a thread."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def full(body: bytes, etag: str = '"1"') -> Answer:
    """Send everything, whatever Range asks for."""
    return lambda handler: handler.send(200, body, ETag=etag)


def ranged(body: bytes, etag: str = '"1"', shift: int = 0) -> Answer:
    """Support Range and If-Range; `shift` is an error of the range in Content-Range."""

    def answer(handler: Handler) -> None:
        start = handler.start()
        if start and handler.headers["If-Range"] == etag:
            claim = f"bytes {start + shift}-{len(body) - 1}/{len(body)}"
            handler.send(206, body[start:], Content_Range=claim, ETag=etag)
        else:
            handler.send(200, body, ETag=etag)

    return answer


def cut(body: bytes, size: int, etag: str = '"1"') -> Answer:
    """Promises all, sends `size` bytes (of what was asked for), and hangs up."""

    def answer(handler: Handler) -> None:
        start = handler.start()
        span = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        handler.send(206 if start else 200, body[start : start + size], len(body) - start, ETag=etag, **span)

    return answer


def status(code: int, **headers: str) -> Answer:
    """Sends an error, or a redirect, of few words."""
    return lambda handler: handler.send(code, b"no", **headers)


def by_path(**answers: Answer) -> Answer:
    """For requests that come at once: the answer by the name of what is asked for, without its suffix."""
    return lambda handler: answers[handler.path.rpartition("/")[2].partition(".")[0]](handler)
