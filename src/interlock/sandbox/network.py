"""A network of some hosts: a proxy that is served from outside, by a socket that listens in the room.

Rule: a program names a host, and the proxy looks its address up: what the program says of addresses does not count. An
address that is not public (a private one, that of this machine or of a link) is reached only if the list names it.
Rule: every refusal is told.
"""

from __future__ import annotations

import hmac
import ipaddress
import select
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from interlock.text.hosts import Host, host_of, is_loopback

PORT = 3128  # in the room
_USER = "interlock"
_PORTS = (80, 443)  # of a host that is listed without one
_HEAD_MAX = 65_536
_TIMEOUT_S = 30.0
_CHUNK = 65_536
_NO_BODY = b"Content-Length: 0\r\nConnection: close\r\n\r\n"

Refused = Callable[[str], None]
Serve = Callable[[socket.socket, Refused], None]


def listeners(listed: Sequence[str]) -> tuple[tuple[int, Serve], ...]:
    """What is served at which port in the room: the proxy, and each listed port of this machine's loopback at the same
    port."""
    hosts = tuple(map(host_of, listed))
    own = tuple((host.port, _forward(host)) for host in hosts if host.port and is_loopback(host.name))
    return ((PORT, _Proxy(hosts).serve), *own)


def proxy_for(listed: Sequence[str], password: str) -> Serve:
    """A proxy on the machine's own loopback, which serves only who knows the password."""
    return _Proxy(tuple(map(host_of, listed)), password).serve


def variables(port: int = PORT, password: str = "") -> dict[str, str]:
    """With which programs find the proxy."""
    proxy = f"http://{_USER}:{password}@127.0.0.1:{port}" if password else f"http://127.0.0.1:{port}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    local = {"NO_PROXY": "localhost,127.0.0.1,::1", "NODE_USE_ENV_PROXY": "1"}
    both = {**dict.fromkeys(names, proxy), **local}
    return {**both, **{name.lower(): value for name, value in both.items() if name.endswith("_PROXY")}}


class _RefusedHost(Exception):
    pass


class _Proxy:
    def __init__(self, hosts: Sequence[Host], password: str = "") -> None:
        self._login = b"Basic " + b64encode(f"{_USER}:{password}".encode()) if password else b""
        self._hosts = frozenset((host.name, port) for host in hosts for port in ([host.port] if host.port else _PORTS))
        self._names = frozenset(host.name for host in hosts)

    def serve(self, client: socket.socket, refused: Refused) -> None:
        """One connection that came out of the room."""
        client.settimeout(_TIMEOUT_S)
        head, rest = _read_head(client)
        if self._login and not hmac.compare_digest(_login_in(head), self._login):
            client.sendall(b"HTTP/1.1 407 login\r\nProxy-Authenticate: Basic realm=interlock\r\n" + _NO_BODY)
            return
        method, target = (*head.split(b"\r\n", 1)[0].decode("latin-1").split(" "), "", "")[:2]
        try:
            name, port, first = _destination(method, target, head)
            reached = self._connect(name, port)
        except _RefusedHost as why:
            refused(f"sandbox: no connection to {target[:200]}: {why}")
            with suppress(OSError):
                client.sendall(f"HTTP/1.1 403 {why}\r\n".encode("ascii", "replace") + _NO_BODY)
            return
        except OSError as error:
            with suppress(OSError):
                client.sendall(f"HTTP/1.1 502 {error.strerror or error}\r\n".encode("ascii", "replace") + _NO_BODY)
            return
        with reached:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            reached.sendall(first + rest)
            _pass_on(client, reached)

    def _connect(self, name: str, port: int) -> socket.socket:
        if (name, port) not in self._hosts:
            raise _RefusedHost("not in the list `network`")
        found = dict.fromkeys(one[4][0] for one in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        usable = [str(address) for address in found if self._may_reach(name, str(address))]
        if not usable:
            raise _RefusedHost(f"its address {next(iter(found))} is not a public one, and `network` does not list it")
        return socket.create_connection((usable[0], port), _TIMEOUT_S)

    def _may_reach(self, name: str, address: str) -> bool:
        public = ipaddress.ip_address(address.partition("%")[0]).is_global
        return public or address in self._names or (name == "localhost" and is_loopback(address))


def _login_in(head: bytes) -> bytes:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return next((value.strip() for name, _, value in lines if name.strip().lower() == b"proxy-authorization"), b"")


def _destination(method: str, target: str, head: bytes) -> tuple[str, int, bytes]:
    """Host, port, and what is sent there first."""
    if not method.isalpha() or b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
        raise _RefusedHost("its head is not one of HTTP, and could hold another one")
    try:
        if method == "CONNECT":
            host = host_of(target)
            return host.name, host.port or 443, b""
        parts = urlsplit(target)
        if parts.scheme != "http" or not parts.hostname:
            raise _RefusedHost("a proxy takes CONNECT, or the whole address of http")
        host = host_of(parts.netloc.rpartition("@")[2])
    except ValueError as error:
        raise _RefusedHost(str(error)) from error
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    return host.name, host.port or 80, b"\r\n".join(_for_the_host(method, path, parts.netloc, head)) + b"\r\n\r\n"


def _for_the_host(method: str, path: str, netloc: str, head: bytes) -> Iterator[bytes]:
    """The head of a request as the host gets it: the header `Host` is that of the address, and one request alone is
    sent."""
    yield f"{method} {path} HTTP/1.1".encode("latin-1")
    yield f"Host: {netloc.rpartition('@')[2]}".encode("latin-1")
    yield b"Connection: close"
    for line in head.split(b"\r\n")[1:]:
        name = line.partition(b":")[0].strip().lower()
        if line and name not in (b"host", b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive"):
            yield line


def _forward(host: Host) -> Serve:
    def serve(client: socket.socket, refused: Refused) -> None:
        with suppress(OSError), socket.create_connection((host.name, host.port), _TIMEOUT_S) as reached:
            _pass_on(client, reached)

    return serve


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request, and what came behind it."""
    got = b""
    while b"\r\n\r\n" not in got and len(got) < _HEAD_MAX:
        with suppress(TimeoutError, OSError):
            part = client.recv(_CHUNK)
            if part:
                got += part
                continue
        break
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Bytes in both directions, until both have ended."""
    to = {one: other, other: one}
    for each in to:
        each.settimeout(None)
    open_ends = set(to)
    while open_ends:
        for each in select.select(list(open_ends), [], [])[0]:
            try:
                part = each.recv(_CHUNK)
                if part:
                    to[each].sendall(part)
                    continue
            except OSError:
                return
            open_ends.discard(each)
            with suppress(OSError):
                to[each].shutdown(socket.SHUT_WR)
