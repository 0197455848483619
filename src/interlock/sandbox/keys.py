"""A key that stays outside of a room. The program gets a placeholder, and an address on the room's loopback as that of
its model. What comes out of the room there is served from outside: it goes to one endpoint, with the key.

Rule: what does not carry the placeholder gets no key, and no key of the program's own goes through. The key is in no
answer: where the endpoint repeats it, stars stand for it.
Rule: nothing goes anywhere else. Another host is refused, and so is an answer that leads elsewhere. Each is told.
"""

from __future__ import annotations

import json
import re
import select
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote_plus, urlsplit

import h11

Refused = Callable[[str], None]
Headers = list[tuple[bytes, bytes]]

PORT = 3129  # in the room
ADDRESS = f"http://127.0.0.1:{PORT}"
_HOSTS = frozenset({f"127.0.0.1:{PORT}", f"localhost:{PORT}"})
_HEAD_MAX = 65_536
_BODY_MAX = 256_000_000
_CHUNK = 65_536
_CONNECT_S = 30.0
_SILENT_S = 1_200.0  # of the endpoint, or of a client between two requests
_CREDENTIALS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key")
# What belongs to one connection, would lead elsewhere, or ask for half of a key.
_DROPPED = frozenset(
    {b"host", b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"expect", b"accept-encoding", b"cookie",
     b"forwarded", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"alt-svc", b"set-cookie",
     b"range", b"if-range"}
)  # fmt: skip
_IN_QUERY = frozenset({"key", "api_key", "api-key", "apikey", "access_token", "oauth_token"})
_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE"})
_SLASH = r"[/\\]|%2f|%5c"  # some servers take all of these as one, and `;` as the end of a name
_DOTS = re.compile(rf"(^|{_SLASH})(\.|%2e){{1,2}}({_SLASH}|;|%3b|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Proxied:
    """A key, the endpoint that it is for, and what stands for it in the room."""

    endpoint: str
    key: str
    placeholder: str

    def serve(self, client: socket.socket, refused: Refused) -> None:
        """One connection that came out of the room, with any number of requests."""
        client.settimeout(_SILENT_S)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ours = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_MAX)
        with suppress(OSError, h11.ProtocolError):
            while isinstance(request := _next(ours, client), h11.Request):
                self._answer(_Exchange(client, ours, refused), request)
                if ours.our_state is not h11.DONE or ours.their_state is not h11.DONE:
                    return
                ours.start_next_cycle()

    def _answer(self, room: _Exchange, request: h11.Request) -> None:
        try:
            sent = self._for_the_endpoint(request)
            with _reached(self.endpoint) as endpoint:
                theirs = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX)
                _pass_request(room, endpoint, theirs, sent)
                _pass_answer(room, endpoint, theirs, self.key.encode())
        except _RefusedRequest as why:
            room.refused(f"sandbox: key: proxied: {request.method.decode()} {_shown(request.target)}: {why}")
            room.fail(403, str(why))
        except h11.RemoteProtocolError:
            room.fail(502, "the endpoint does not speak HTTP/1.1")
        except OSError as error:
            room.fail(502, f"the endpoint cannot be reached: {error.strerror or error}")

    def _for_the_endpoint(self, request: h11.Request) -> h11.Request:
        """The request as the endpoint gets it. Raises _RefusedRequest."""
        target = request.target.decode("latin-1")
        if request.method not in _METHODS:
            raise _RefusedRequest("this method is not passed on")
        if not target.startswith("/") or target.startswith("//"):
            raise _RefusedRequest("only the agent's `endpoint` can be reached here")
        if _DOTS.search(target.partition("?")[0]):
            raise _RefusedRequest("the path has `.` or `..` in it")
        if any(unquote_plus(one.partition("=")[0]).strip().lower() in _IN_QUERY for one in re.split("[?&;]", target)):
            raise _RefusedRequest("a key in an address is not passed on")
        if any(name == b"host" and value.decode("latin-1").lower() not in _HOSTS for name, value in request.headers):
            raise _RefusedRequest("another host is named in its header")
        parts = urlsplit(self.endpoint)
        headers = [(b"host", parts.netloc.rpartition("@")[2].encode()), *self._headers(request)]
        return h11.Request(method=request.method, target=f"{parts.path.rstrip('/')}{target}", headers=headers)

    def _headers(self, request: h11.Request) -> Iterator[tuple[bytes, bytes]]:
        yield b"accept-encoding", b"identity"  # a compressed answer could not be searched for the key
        yield b"connection", b"close"
        for name, value in _kept(request.headers):
            if name not in _CREDENTIALS:
                yield name, value
            elif re.fullmatch(rb"([A-Za-z]+ +)?" + re.escape(self.placeholder.encode()), value):  # and no other key
                yield name, value.replace(self.placeholder.encode(), self.key.encode())


class _RefusedRequest(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request of the program, and our side of its connection."""

    client: socket.socket
    ours: h11.Connection
    refused: Refused

    def send(self, event: h11.Event) -> None:
        self.client.sendall(self.ours.send(event) or b"")

    def fail(self, status: int, why: str) -> None:
        """An answer of our own; where the endpoint's has begun, the connection ends in the middle of it."""
        if self.ours.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.ours.send_failed()
            return
        body = json.dumps({"error": {"message": f"interlock: {why}", "type": "interlock", "code": status}}).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(body), h11.EndOfMessage()):
            self.send(event)


@contextmanager
def _reached(address: str) -> Iterator[socket.socket]:
    parts = urlsplit(address)
    secure = parts.scheme == "https"
    with socket.create_connection((parts.hostname or "", parts.port or (443 if secure else 80)), _CONNECT_S) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not secure:
            plain.settimeout(_SILENT_S)
            yield plain
            return
        with ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname) as wrapped:
            wrapped.settimeout(_SILENT_S)
            yield wrapped


def _pass_request(room: _Exchange, endpoint: socket.socket, theirs: h11.Connection, request: h11.Request) -> None:
    endpoint.sendall(theirs.send(request) or b"")
    size = 0
    while not isinstance(event := _next(room.ours, room.client), h11.EndOfMessage):
        if not isinstance(event, h11.Data):
            raise ConnectionResetError("the program hung up")
        if (size := size + len(event.data)) > _BODY_MAX:
            raise _RefusedRequest(f"a request of more than {_BODY_MAX} bytes")
        try:
            endpoint.sendall(theirs.send(h11.Data(bytes(event.data))) or b"")
        except OSError:  # it may have answered before it has read all
            return
    endpoint.sendall(theirs.send(h11.EndOfMessage()) or b"")


def _pass_answer(room: _Exchange, endpoint: socket.socket, theirs: h11.Connection, key: bytes) -> None:
    stars, waits = _Stars(key), partial(_until_readable, endpoint, room.client)
    while True:
        match _next(theirs, endpoint, waits):
            case h11.Response() as answer:
                room.send(_for_the_room(answer, stars))
            case h11.Data() as data:
                if part := stars.feed(bytes(data.data)):
                    room.send(h11.Data(part))
            case h11.EndOfMessage():
                if part := stars.rest():
                    room.send(h11.Data(part))
                room.send(h11.EndOfMessage())
                return
            case h11.InformationalResponse():
                continue
            case _:
                raise ConnectionResetError("the endpoint hung up")


def _for_the_room(answer: h11.Response, stars: _Stars) -> h11.Response:
    headers = [(name, stars.whole(value)) for name, value in _kept(answer.headers)]
    where = next((value for name, value in headers if name == b"location"), None)
    if where is not None and 300 <= answer.status_code < 400:
        raise _RefusedRequest(f"the endpoint leads elsewhere, to {_shown(where)}; name that as the agent's `endpoint`")
    if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in headers):
        raise _RefusedRequest("the endpoint compresses its answers, although it was asked not to")
    return h11.Response(status_code=answer.status_code, headers=headers, reason=stars.whole(answer.reason))


def _kept(headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    named = b",".join(value for name, value in headers if name == b"connection").lower()
    dropped = _DROPPED | {name.strip() for name in named.split(b",")} - {b"content-length", b"transfer-encoding"}
    return [(name, value) for name, value in headers if name not in dropped]


def _next(
    connection: h11.Connection, read: socket.socket, wait: Callable[[], None] | None = None
) -> h11.Event | type[h11.PAUSED]:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event  # type: ignore[return-value]  # mypy does not know sentinels
        if connection.they_are_waiting_for_100_continue:
            read.sendall(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        if wait is not None:
            wait()
        connection.receive_data(read.recv(_CHUNK))


def _until_readable(endpoint: socket.socket, client: socket.socket) -> None:
    """Wait for the endpoint. Raises OSError if it is silent for too long, or if the program does not wait any more."""
    watched = [endpoint, client]
    while not (isinstance(endpoint, ssl.SSLSocket) and endpoint.pending()):
        ready = select.select(watched, [], [], _SILENT_S)[0]
        if not ready:
            raise TimeoutError("it is silent")
        if client in ready:
            if not client.recv(1, socket.MSG_PEEK):
                raise ConnectionResetError("the program hung up")
            watched = [endpoint]  # it has sent the next request already
        if endpoint in ready:
            return


class _Stars:
    """Puts stars in the place of a key: as many, so that lengths stay true."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._held = b""

    def feed(self, part: bytes) -> bytes:
        """What cannot be the beginning of the key."""
        got = self.whole(self._held + part)
        sizes = range(min(len(self._key) - 1, len(got)), 0, -1)
        size = next((size for size in sizes if got.endswith(self._key[:size])), 0)
        self._held = got[len(got) - size :]
        return got[: len(got) - size]

    def rest(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def whole(self, text: bytes) -> bytes:
        return text.replace(self._key, b"*" * len(self._key))


def _shown(text: bytes) -> str:
    return re.split("[?;]", text[:200].decode("ascii", "replace"))[0]
