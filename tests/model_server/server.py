"""The server: one thread a request, answers by scenario, faults as steps, and a count of what was served."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.model_server.languages import read, write
from tests.model_server.script import FAULTS, Request, Served, Step, number_of, reply, scenario_of, told_now


@dataclass(slots=True)
class ModelServer:
    """A running server. `requests` holds path and body of each, `headers` their headers by lower-case name, `served`
    what was answered in full."""

    base: str
    scenarios: Mapping[str, Sequence[Step]]
    closing: threading.Event = field(default_factory=threading.Event)
    served: list[Served] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    happened: dict[tuple[str, Step], int] = field(default_factory=dict)

    def due(self, scenario: str, steps: Sequence[Step], number: int) -> Step:
        """The step of this number, faults that have happened often enough left out."""
        left = [step for step in steps if not step.times or self.happened.get((scenario, step), 0) < step.times]
        step = left[min(number, len(left) - 1)]
        if step.times:
            self.happened[scenario, step] = self.happened.get((scenario, step), 0) + 1
        return step

    def tokens(self, scenario: str) -> tuple[int, int, int]:
        """In (cached ones included), out and cached, of all answers of a scenario."""
        mine = [one for one in self.served if one.scenario == scenario]
        return sum(s.tokens_in for s in mine), sum(s.tokens_out for s in mine), sum(s.tokens_cached for s in mine)


@contextmanager
def serving(scenarios: Mapping[str, Sequence[Step]]) -> Iterator[ModelServer]:
    """A server on a free port of loopback, as long as the block lasts."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Asked)
    http.daemon_threads = True
    http.block_on_close = False
    model = ModelServer(f"http://127.0.0.1:{http.server_address[1]}", scenarios)
    http.model = model  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.closing.set()
        http.shutdown()
        http.server_close()


class _Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._plain(200, "application/json", b'{"object": "list", "data": [], "models": []}')

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        model: ModelServer = self.server.model  # type: ignore[attr-defined]
        model.headers.append({name.lower(): value for name, value in self.headers.items()})
        model.requests.append((path, body.decode("utf-8", "replace")))
        try:
            told = json.loads(body)
        except ValueError:
            return self._plain(200, "application/json", b"{}")
        if path.endswith(("count_tokens", ":countTokens")):
            return self._plain(200, "application/json", b'{"input_tokens": 10, "totalTokens": 10}')
        request = read(path, told)
        number, name = number_of(request), scenario_of(request)
        steps = model.scenarios.get(name, (Step("say", "No such scenario."),))
        step = model.due(name, steps, number)
        stream = bool(told.get("stream")) or "stream" in path
        with suppress(OSError):
            return self._answer(model, request, (name, number, step), stream)
        return None

    def _answer(self, model: ModelServer, request: Request, due: tuple[str, int, Step], stream: bool) -> None:
        name, number, step = due
        if step.kind == "hang":
            model.closing.wait(120)
            return self._drop()
        if step.kind == "status":
            return self._plain(step.code, "application/json", told_now(step.text).encode(), step.headers)
        if step.kind == "garbage":
            return self._plain(
                200, "text/event-stream" if stream else "application/json", b"data: {\x00]] nonsense\n\n"
            )
        served = Served(name, request.model, 1000 + 10 * number, 20 + number, 300 + number)
        shown = Step("say", "Half of it, and then nothing more.") if step.kind in FAULTS else step
        kind, pieces = write(request, reply(request, shown, number), served, stream=stream)
        if step.kind in FAULTS:
            return self._part(model, step, kind, pieces)
        model.served.append(served)
        return self._whole(kind, pieces) if stream else self._plain(200, kind, pieces[0].encode())

    def _whole(self, kind: str, pieces: Sequence[str]) -> None:
        """Each event by itself, in two parts that meet nowhere in particular."""
        self._begin(kind)
        for piece in map(str.encode, pieces):
            half = len(piece) // 2
            for part in (piece[:half], piece[half:]):
                self._send(part)
        self._send(b"")

    def _part(self, model: ModelServer, step: Step, kind: str, pieces: Sequence[str]) -> None:
        self._begin(kind)
        whole = "".join(pieces)
        sent = pieces[0] if len(pieces) > 1 else whole[: len(whole) // 2]
        if step.share:
            sent = whole[: int(len(whole) * step.share)]
        if step.kind in ("short", "early"):
            sent = "".join(pieces[: max(1, int(len(pieces) * step.share))])
        self._send(sent.encode())
        if step.kind == "early":
            return self._send(b"")
        if step.kind == "stall":
            model.closing.wait(120)
        return self._drop()

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send(self, part: bytes) -> None:
        """A part of a stream; an empty one is its end, which never comes where the stream is cut."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.flush()

    def _drop(self) -> None:
        self.close_connection = True

    def _plain(self, code: int, kind: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))
