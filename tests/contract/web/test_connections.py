"""Connections that send no request, or half of one, end by themselves; those that are answered do not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from interlock.web import guard

_HALF = b"GET / HTTP/1.1\r\nHost: here\r\n"
_WHOLE = _HALF + b"\r\n"


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers after a second: longer than a request may take to come."""
    assert scope["type"] == "http"
    await asyncio.sleep(1)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})


@contextmanager
def serving() -> Iterator[tuple[str, int]]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(slow, http=guard.BoundedConnection, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join(30)


def said(address: tuple[str, int], *parts: bytes) -> list[bytes]:
    """What comes back after each part; empty where the connection has ended."""
    with socket.create_connection(address, timeout=30) as connection:
        answers = []
        for part in parts:
            connection.sendall(part)
            answers.append(_answer(connection))
        return answers


def _answer(connection: socket.socket) -> bytes:
    """Up to the end of what `slow` says, or of the connection."""
    found = b""
    try:
        while not found.endswith(b"done") and (more := connection.recv(10_000)):
            found += more
    except ConnectionResetError:
        pass
    return found


def test_half_a_request_ends_and_a_slow_answer_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REQUEST_S", 0.3)
    with serving() as address:
        assert said(address, _HALF) == [b""]
        whole, half = said(address, _WHOLE, _HALF)  # the second one on the same connection
        assert (whole[:15], half) == (b"HTTP/1.1 200 OK", b"")
        posted, *_ = said(address, b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nhalf")
        assert posted == b""


def test_there_is_a_bound_on_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "CONNECTIONS_MAX", 2)
    with serving() as address, socket.create_connection(address), socket.create_connection(address):
        assert said(address, _WHOLE) == [b""]
