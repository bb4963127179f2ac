"""Network faults: a download succeeds, or fails with the reason in bounded time."""

import hashlib
import ssl
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipelines.data.dataset import Archive
from pipelines.data.download.fetch import fetch
from pipelines.data.download.http import SPARE_BYTES, RetryPolicy
from schemas.errors import DownloadError
from tests.support.misbehaving_server import Answer, Handler, Server, cut, full, ranged, status

CONTENT = bytes(i * i % 251 for i in range(200_000))
QUICK = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.5, connect_timeout=2, read_timeout=0.3)


def get(server: Server, directory: Path, patience: RetryPolicy = QUICK, **promises: object) -> None:
    """Downloads the file, which is right or an error."""
    archive = Archive("a.bin", (f"{server.url}/first", f"{server.url}/second"), **promises)
    started = time.monotonic()
    found = fetch(archive, directory, (), lambda fraction, message: None, patience)
    assert time.monotonic() - started < 10
    assert found.path.read_bytes() == CONTENT


def paths(server: Server) -> list[str]:
    return [path for path, _ in server.requests]


def in_pieces(*sizes: int, pause: float) -> Answer:
    """Promises all, sends pieces with a pause after each, and hangs up."""

    def answer(handler: Handler) -> None:
        handler.send(200, b"", len(CONTENT), ETag='"1"')
        sent = 0
        for size in sizes:
            handler.wfile.write(CONTENT[sent : sent + size])
            sent += size
            time.sleep(pause)

    return answer


def raw(text: bytes) -> Answer:
    return lambda handler: handler.wfile.write(text) and None


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> Answer:
    """A body without a length."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for piece in pieces:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(end)

    return answer


def test_slow_server_is_borne(server: Server, tmp_path: Path) -> None:
    server.script = [in_pieces(*[10_000] * 20, pause=0.03)]
    get(server, tmp_path)
    assert paths(server) == ["/first"]


def test_stall_in_the_middle_is_resumed_with_the_last_byte(server: Server, tmp_path: Path) -> None:
    server.script = [in_pieces(70_001, pause=1.0), ranged(CONTENT)]
    get(server, tmp_path)
    assert server.requests[1][1]["Range"] == "bytes=70001-"


def test_trickle_is_given_up(server: Server, tmp_path: Path) -> None:
    server.script = [in_pieces(*[1] * 100, pause=0.05), full(CONTENT)]
    get(server, tmp_path)
    assert paths(server) == ["/first", "/second"]
    server.script = [in_pieces(*[1] * 100, pause=0.05)]
    with pytest.raises(DownloadError, match=r"it sends no more than \d+ bytes a second"):
        get(server, tmp_path / "again")


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_in_seconds_is_heeded(server: Server, tmp_path: Path, code: int) -> None:
    patience = RetryPolicy(attempts=2, first_wait=0.001, longest_wait=5)
    server.script = [status(code, Retry_After="1"), full(CONTENT)]
    started = time.monotonic()
    get(server, tmp_path, patience)
    assert time.monotonic() - started >= 1
    assert paths(server) == ["/first", "/first"]


def test_retry_after_a_date_is_heeded(server: Server, tmp_path: Path) -> None:
    patience = RetryPolicy(attempts=2, first_wait=0.001, longest_wait=5)
    date = datetime.now(UTC) + timedelta(seconds=2.5)  # cut to whole seconds by the format
    server.script = [status(503, Retry_After=format_datetime(date, usegmt=True)), full(CONTENT)]
    get(server, tmp_path, patience)
    assert datetime.now(UTC) >= date.replace(microsecond=0)


def test_retry_after_too_long_a_time_moves_on(server: Server, tmp_path: Path) -> None:
    server.script = [status(429, Retry_After="3600"), full(CONTENT)]
    get(server, tmp_path)
    assert paths(server) == ["/first", "/second"]
    server.script = [status(429, Retry_After="3600")]
    with pytest.raises(DownloadError, match=r"429 .* and requests a retry in 3600 s"):
        get(server, tmp_path / "again")


@pytest.mark.parametrize("text", ["soon", "-1", "9" * 5000, ""])
def test_malformed_retry_after_is_ignored(server: Server, tmp_path: Path, text: str) -> None:
    server.script = [status(503, Retry_After=text), full(CONTENT)]
    get(server, tmp_path)
    assert paths(server) == ["/first", "/first"]


def test_redirect_loop_moves_on(server: Server, tmp_path: Path) -> None:
    server.script = [status(302, Location="/loop")] * 31 + [full(CONTENT)]
    get(server, tmp_path)
    assert paths(server)[-2:] == ["/loop", "/second"]
    server.script = [status(302, Location="/loop")]
    with pytest.raises(DownloadError, match="Exceeded 30 redirects"):
        get(server, tmp_path / "again")


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/a", "gopher://x", "data:,x", "http://["])
def test_redirect_out_of_http_is_refused(server: Server, tmp_path: Path, location: str) -> None:
    server.script = [status(302, Location=location), full(CONTENT)]
    get(server, tmp_path)
    assert paths(server)[-1] == "/second"


def test_mirror_killed_midway_is_replaced(server: Server, tmp_path: Path) -> None:
    with Server() as mirror:
        mirror.script = [cut(CONTENT, 70_000)]
        url = mirror.url
        one = threading.Thread(target=mirror.handle_request)
        one.start()
        server.script = [ranged(CONTENT, etag='"another"')]
        archive = Archive("a.bin", (f"{server.url}/first",))

        def progress(fraction: float, message: str) -> None:
            if "next try" in message:
                mirror.server_close()  # from now on nobody listens there

        found = fetch(archive, tmp_path, (url,), progress, QUICK)
        one.join()
    assert found.path.read_bytes() == CONTENT
    assert found.url == f"{server.url}/first"
    assert len(mirror.requests) == 1
    assert "Range" not in server.requests[0][1]


def test_length_too_small_is_noticed(server: Server, tmp_path: Path) -> None:
    server.script = [lambda handler: handler.send(200, CONTENT, len(CONTENT) - 5), full(CONTENT)]
    get(server, tmp_path, size=len(CONTENT))
    assert paths(server) == ["/first", "/second"]


def test_length_too_large_is_reported(server: Server, tmp_path: Path) -> None:
    server.script = [lambda handler: handler.send(200, CONTENT, len(CONTENT) + 5, ETag='"1"')]
    with pytest.raises(DownloadError, match="200000 bytes read, 5 more expected"):
        get(server, tmp_path, RetryPolicy(attempts=2, first_wait=0.001, read_timeout=0.1))


@pytest.mark.parametrize("length", ["x", "-5", "9" * 5000, "5, 6"])
def test_malformed_content_length(server: Server, tmp_path: Path, length: str) -> None:
    header = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %b\r\n\r\n" % length.encode()
    server.script = [raw(header + CONTENT), full(CONTENT)]
    get(server, tmp_path, size=len(CONTENT))


def test_overflowing_range_is_refused(server: Server, tmp_path: Path) -> None:
    def overflow(handler: Handler) -> None:
        claim = f"bytes {handler.start()}-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.send(206, CONTENT, Content_Range=claim, ETag='"1"')

    server.script = [cut(CONTENT, 70_000), overflow, full(CONTENT)]
    get(server, tmp_path)
    assert paths(server) == ["/first", "/first", "/second"]


def test_body_without_a_length(server: Server, tmp_path: Path) -> None:
    server.script = [chunked(CONTENT[:100_000], CONTENT[100_000:])]
    get(server, tmp_path)


@pytest.mark.parametrize("end", [b"", b"4000\r\nshort", b"no number\r\n"])
def test_body_without_a_length_cut_short(server: Server, tmp_path: Path, end: bytes) -> None:
    server.script = [chunked(CONTENT[:100_000], end=end), full(CONTENT)]
    get(server, tmp_path)
    assert paths(server) == ["/first", "/first"]


def test_body_without_an_end_leaves_the_disk_some_space(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    part = tmp_path / "a.bin.part"
    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: usage(SPARE_BYTES + 500_000 - (part.stat().st_size if part.exists() else 0))
    )
    server.script = [chunked(*[bytes(100_000)] * 100)]
    with pytest.raises(DownloadError, match="GB free"):
        get(server, tmp_path)
    assert part.stat().st_size < 1_500_000


@pytest.mark.parametrize(
    "text", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"HTTP/1.1 2"]
)
def test_non_http_response_is_retried(server: Server, tmp_path: Path, text: bytes) -> None:
    server.script = [raw(text), full(CONTENT)]
    get(server, tmp_path)
    assert paths(server) == ["/first", "/first"]


def test_wrong_checksum_of_every_source_is_reported(server: Server, tmp_path: Path) -> None:
    server.script = [full(CONTENT)]
    with pytest.raises(DownloadError, match=r"/first \(its SHA-256 is \w{64} instead of 00.*/second \(its SHA-256"):
        get(server, tmp_path, sha256="0" * 64)
    assert not list(tmp_path.glob("a.bin*"))


def test_checksum_covers_the_resumed_part(server: Server, tmp_path: Path) -> None:
    other = bytes(len(CONTENT))
    server.script = [cut(other, 70_000), ranged(CONTENT), full(CONTENT)]
    get(server, tmp_path, sha256=hashlib.sha256(CONTENT).hexdigest())
    assert paths(server) == ["/first", "/first", "/second"]


def test_proxy_is_taken_from_the_environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.script = [full(CONTENT)]
    archive = Archive("a.bin", ("http://dataset.invalid/a.bin",))
    assert fetch(archive, tmp_path, (), lambda fraction, message: None, QUICK).path.read_bytes() == CONTENT
    assert paths(server) == ["http://dataset.invalid/a.bin"]


@pytest.fixture
def tls_server(server: Server, tmp_path: Path) -> Iterator[Server]:
    """The server behind TLS, with a certificate that nobody vouches for in `certificate.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*form))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    return server


def test_untrusted_certificate_is_refused(tls_server: Server, tmp_path: Path) -> None:
    tls_server.script = [full(CONTENT)]
    with pytest.raises(DownloadError, match=r"its certificate cannot be verified: .*REQUESTS_CA_BUNDLE"):
        get(tls_server, tmp_path / "data")
    assert not tls_server.requests


def test_authority_of_the_environment_is_trusted(
    tls_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    tls_server.script = [full(CONTENT)]
    get(tls_server, tmp_path / "data")


def test_plain_http_in_place_of_tls(server: Server, tmp_path: Path) -> None:
    server.script = [full(CONTENT)]
    server.scheme = "https"
    with pytest.raises(DownloadError, match=r"the connection failed: .*SSL"):
        get(server, tmp_path)
