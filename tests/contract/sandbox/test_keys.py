"""A key that stays outside of a room: what is passed on to the endpoint, what comes back, and what is refused."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from interlock.sandbox import keys
from interlock.sandbox.keys import Proxied

KEY, PLACEHOLDER = "sk-TOPSECRET-0123456789", "proxied-abc"
HOST = f"127.0.0.1:{keys.PORT}"


class _Endpoint(BaseHTTPRequestHandler):
    """It says what it got, and behaves as the path asks."""

    protocol_version = "HTTP/1.1"
    said: list[dict[str, object]]

    def do_GET(self) -> None:
        self._answer(b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self._chunks() if "Transfer-Encoding" in self.headers else self._read())

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.said.append({"path": self.path, "size": len(body), **headers})  # type: ignore[attr-defined]
        match self.path.rpartition("/")[2]:
            case "away":
                self._send(302, b"", Location=f"https://evil.example/?{KEY}")
            case "echo":  # in a header, and in the body in two parts
                self._begin(200, Repeated=headers.get("authorization", ""), Set_Cookie="a=b")
                for part in (b"it is sk-TOPSEC", b"RET-0123456789, or sk-TOP"):
                    self._chunk(part)
                    time.sleep(0.05)
                self._chunk(b"")
            case "compressed":
                self._send(200, b"\x1f\x8b", Content_Encoding="gzip")
            case "slow":
                self._begin(200)
                self._chunk(b"data: 1\n\n")
                self.server.waits.wait(10)  # type: ignore[attr-defined]
                self._chunk(b"data: 2\n\n")
                self._chunk(b"")
            case "cut":
                self._begin(200)
                self._chunk(b"data: 1\n\n")
                self.close_connection = True
            case "silent":
                self.server.waits.wait(10)  # type: ignore[attr-defined]
                self.close_connection = True
            case _:
                self._send(200, json.dumps({"size": len(body)}).encode())

    def _begin(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content_Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _chunk(self, part: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class World:
    """An endpoint, and a port that stands for that in the room."""

    base: str
    port: int = 0
    said: list[dict[str, object]] = field(default_factory=list)
    waits: threading.Event = field(default_factory=threading.Event)
    refused: list[str] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def ask(
        self, path: str, body: bytes | Iterator[bytes] | None = None, *, method: str = "", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            return _asked(connection, path, body, method=method, **headers)

    def raw(self, text: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            client.sendall(text.replace("\n", "\r\n").encode())
            return client.recv(65_536)


def _asked(
    connection: http.client.HTTPConnection, path: str, body: bytes | Iterator[bytes] | None, *, method: str = "",
    **headers: str,
) -> tuple[int, bytes, dict[str, str]]:  # fmt: skip
    given = {"Host": HOST, "Authorization": f"Bearer {PLACEHOLDER}"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method or ("GET" if body is None else "POST"), path, body, given, encode_chunked=True)
    answer = connection.getresponse()
    return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}


@contextmanager
def _world(*, below: str = "", wrap: Callable[[socket.socket], socket.socket] | None = None) -> Iterator[World]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint) as server:
        server.daemon_threads, server.block_on_close = True, False
        if wrap is not None:
            server.socket = wrap(server.socket)
        world = World(f"http{'s' if wrap else ''}://127.0.0.1:{server.server_address[1]}{below}")
        server.said, server.waits = world.said, world.waits  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            world.port = listener.getsockname()[1]
            threading.Thread(target=_serve, args=(listener, world), daemon=True).start()
            yield world
        world.waits.set()
        server.shutdown()


def _serve(listener: socket.socket, world: World) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_one, args=(client, world), daemon=True).start()


def _one(client: socket.socket, world: World) -> None:
    with client:
        Proxied(world.base, KEY, PLACEHOLDER).serve(client, world.refused.append)
    world.ended.append(time.monotonic())


@pytest.fixture
def world() -> Iterator[World]:
    with _world(below="/gateway/") as made:
        yield made


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key", "X-Goog-Api-Key", "Api-Key"])
def test_the_key_stands_where_the_placeholder_stood(header: str, world: World) -> None:
    status, body, _ = world.ask(
        "/v1/x?beta=true", b"abc", **{"Authorization": "Bearer own", header: f"a {PLACEHOLDER}"}
    )
    assert (status, json.loads(body)) == (200, {"size": 3})
    (said,) = world.said
    assert said["path"] == "/gateway/v1/x?beta=true"
    assert said[header.lower()] == f"a {KEY}"
    assert said["host"] == world.base.removeprefix("http://").removesuffix("/gateway/")
    assert sum(KEY in str(value) for value in said.values()) == 1
    assert "Bearer own" not in said.values()  # another key would be another account's


def test_a_key_beside_the_placeholder_does_not_go_through(world: World) -> None:
    world.ask("/v1", Authorization=f"Bearer own, {PLACEHOLDER}", Range="bytes=0-3")
    assert not {"authorization", "range"} & set(world.said[0])


def test_one_connection_has_many_requests(world: World) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", world.port, timeout=10)) as connection:
        for number in range(5):
            body = bytes(number) if number % 2 else iter([b"a" * 10, b"b" * number])
            assert _asked(connection, "/v1", body)[0] == 200
        first = connection.sock
        assert _asked(connection, "/v1", None, method="HEAD")[:2] == (200, b"")
        assert connection.sock is first
    assert [said["size"] for said in world.said] == [10, 1, 12, 3, 14, 0]


def test_a_large_body_arrives(world: World) -> None:
    assert json.loads(world.ask("/v1", iter([b"x" * 100_000] * 200))[1]) == {"size": 20_000_000}


def test_a_client_that_waits_for_100_gets_it(world: World) -> None:
    head = f"POST /v1 HTTP/1.1\nHost: {HOST}\nExpect: 100-continue\nContent-Length: 2\n\n"
    assert world.raw(head).startswith(b"HTTP/1.1 100")


def test_events_come_as_they_are_sent(world: World) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", world.port, timeout=10)) as connection:
        connection.request("GET", "/slow", headers={"Host": HOST})
        answer = connection.getresponse()
        assert answer.read1() == b"data: 1\n\n"  # the second is not sent before
        world.waits.set()
        assert answer.read() == b"data: 2\n\n"


def test_the_key_is_in_no_answer(world: World) -> None:
    status, body, headers = world.ask("/echo")
    assert status == 200
    assert body == f"it is {'*' * len(KEY)}, or sk-TOP".encode()
    assert headers["repeated"] == f"Bearer {'*' * len(KEY)}"
    assert "set-cookie" not in headers
    assert world.ask("/compressed")[0] == 403
    assert "compresses" in world.refused[0]


REFUSED = {
    "another host by its address": ("GET http://evil.example/ HTTP/1.1\nHost: evil.example\n\n", "only the agent's"),
    "a tunnel": ("CONNECT evil.example:443 HTTP/1.1\nHost: evil.example\n\n", "this method"),
    "another host by the header": ("GET / HTTP/1.1\nHost: evil.example\n\n", "another host"),
    "an address without a scheme": (f"GET //evil.example/ HTTP/1.1\nHost: {HOST}\n\n", "only the agent's"),
    "above the endpoint's path": (f"GET /a/../../b HTTP/1.1\nHost: {HOST}\n\n", "`..`"),
    "the same, quoted": (f"GET /%2e%2E/b HTTP/1.1\nHost: {HOST}\n\n", "`..`"),
    "the same, with a quoted slash": (f"GET /..%2F..%5cb HTTP/1.1\nHost: {HOST}\n\n", "`..`"),
    "the same, with a parameter": (f"GET /..;/b HTTP/1.1\nHost: {HOST}\n\n", "`..`"),
    "a key of its own": (f"GET /v1?key=own HTTP/1.1\nHost: {HOST}\n\n", "a key in an address"),
    "one behind a semicolon": (f"GET /v1?a=1;%6bey=own HTTP/1.1\nHost: {HOST}\n\n", "a key in an address"),
    "one in the path": (f"GET /v1;Api_Key=own/x HTTP/1.1\nHost: {HOST}\n\n", "a key in an address"),
    "what repeats a request": (f"TRACE / HTTP/1.1\nHost: {HOST}\n\n", "this method"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_else_is_reached(name: str, world: World) -> None:
    text, why = REFUSED[name]
    said = world.raw(text)
    assert said.startswith(b"HTTP/1.1 403 "), said
    assert not world.said
    assert len(world.refused) == 1
    assert why in world.refused[0]
    assert "own" not in world.refused[0]


def test_a_redirect_is_held(world: World) -> None:
    status, body, headers = world.ask("/away")
    assert status == 403
    assert "location" not in headers
    assert KEY not in body.decode() + world.refused[0]
    assert "leads elsewhere, to https://evil.example/" in world.refused[0]


def test_what_is_no_http_ends(world: World) -> None:
    assert world.raw("\x16\x03\x01 nothing\n\n") == b""
    with suppress(ConnectionResetError):
        assert world.raw(f"GET / HTTP/1.1\nHost: {HOST}\nX: {'a' * 300_000}\n\n") == b""
    assert not world.said


def test_an_answer_that_is_cut_looks_cut(world: World) -> None:
    with pytest.raises(http.client.IncompleteRead):
        world.ask("/cut")


def test_an_endpoint_that_is_not_there(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        world.base = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    status, body, _ = world.ask("/v1", b"x")
    assert status == 502
    assert "cannot be reached: Connection refused" in body.decode()


def test_a_silent_endpoint_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_SILENT_S", 0.3)
    status, body, _ = world.ask("/silent", b"x")
    assert (status, b"silent" in body) == (502, True)


def test_a_client_that_hangs_up_ends_the_call(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.port), 10) as client:
        client.sendall(f"GET /silent HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        while not world.said:
            time.sleep(0.01)
    for _ in range(500):
        if world.ended:
            break
        time.sleep(0.01)
    assert world.ended


def test_a_body_has_a_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_BODY_MAX", 1_000)
    assert world.ask("/v1", iter([b"x" * 600] * 2))[0] == 403
    assert "more than 1000 bytes" in world.refused[0]


def test_over_tls_the_name_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path, "127.0.0.1"))
    with _world(wrap=lambda plain: context.wrap_socket(plain, server_side=True)) as world:
        status, body, _ = world.ask("/v1", b"x")
        assert (status, b"certificate verify failed" in body) == (502, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "pem"))
        assert world.ask("/v1", iter([b"x" * 100_000] * 10))[:2] == (200, b'{"size": 1000000}')
        assert world.ask("/echo")[1].startswith(b"it is ***")
        world.base = world.base.replace("127.0.0.1", "localhost")
        assert b"certificate verify failed" in world.ask("/v1", b"x")[1]


def _certificate(folder: Path, address: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "pem"
    path.write_bytes(made.public_bytes(plain[0]) + key.private_bytes(*plain))
    return path


def test_an_answer_before_the_end_of_the_request_comes_back(world: World) -> None:
    """Such as that a request is too large."""
    with socket.create_server(("127.0.0.1", 0)) as early:
        world.base = f"http://127.0.0.1:{early.getsockname()[1]}"
        with socket.create_connection(("127.0.0.1", world.port), 10) as client:
            client.sendall(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            endpoint, _ = early.accept()
            with endpoint:
                endpoint.recv(65_536)
                endpoint.sendall(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n")
            with suppress(OSError):  # nobody reads the rest
                for _ in range(4):
                    client.sendall(b"3\r\nabc\r\n")
                    time.sleep(0.05)
            assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")
