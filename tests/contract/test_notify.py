"""Whoever is to be told of a run is told: by real servers on loopback and real programs, through the program."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.contract.cli_world import Said, World, new_world
from tests.contract.docs.pages import DOCS, blocks

from interlock.notify import CommandChannel, Message, Refusal

KEY = "the-key-of-the-signature"
PIPELINE = """\
version: 1
name: small
agents: {own: {use: command, run: [bash, -c, 'echo "$$" > a.txt']}}
stages:
  code:
    agent: own
    gates: [{id: merge, approve: Merge this?}]
"""
RED = """\
version: 1
name: red
stages:
  code:
    run: echo x > a.txt
    gates: [{id: never, run: 'false', base: green}]
"""


@dataclass
class Hook:
    """A server that keeps what it was sent. `answers` are statuses that come before 204; `hold` makes it hang."""

    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)  # of the answers
    hold: threading.Event | None = None
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def events(self) -> list[str]:
        return [message["event"] for message in self.told()]


@contextmanager
def served(hook: Hook, port: int = 0, context: ssl.SSLContext | None = None) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((dict(self.headers), body))
            if hook.hold is not None:
                hook.hold.wait(60)
            self.send_response(hook.answers.pop(0) if hook.answers else 204)
            for name, value in hook.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            hook.got.append((dict(self.headers), b'{"event": "GET"}'))

        def log_message(self, *words: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *words: object) -> None:  # who asked has gone
            pass

    server = Server(("127.0.0.1", port), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        if hook.hold is not None:
            hook.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path / "w", {"interlock.yaml": PIPELINE, "red.yaml": RED}, NOTIFY_KEY=KEY)


def settings(world: World, text: str) -> Path:
    folder = Path(world.environment()["XDG_CONFIG_HOME"]) / "interlock"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.yaml").write_text(f"notify: {text}\n")
    return folder


def hooked(world: World, port: int, more: str = "") -> None:
    settings(world, f"{{webhook: 'http://127.0.0.1:{port}/hooks/k3y-in-path', secret: NOTIFY_KEY{more}}}")


def start(world: World, code: int = 3, **environ: str) -> Said:
    return world.ask("run", "-t", "x", "--plain", **environ).ended(code)


def untold(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.ask("show", "--json").json()["untold"]
    return found


def until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_waiting_and_accepted_are_told_once_and_signed(world: World) -> None:
    hook = Hook()
    with served(hook) as port:
        hooked(world, port)
        start(world)
        run = world.show()["id"]
        world.ask("resume").ended(3)
        assert hook.events() == ["waiting"]
        world.ask("approve").ended(0, "accepted")
        world.ask("resume", run).ended(0, "has ended")
    first, second = hook.told()
    assert [first["event"], second["event"]] == ["waiting", "accepted"]
    assert (first["run"], first["repository"], first["pipeline"]) == (run, str(world.repository), "small")
    assert (first["phase"], second["phase"]) == ("waiting", "accepted")
    assert (first["waits"]["gate"], first["waits"]["detail"]) == ("code/merge", "Merge this?")
    assert f"interlock approve {run} code" in first["waits"]["commands"]
    assert first["show"] == f"interlock show {run}"
    assert (second["branch"], second["commit"]) == (f"interlock/{run}", world.git("rev-parse", f"interlock/{run}"))
    for headers, body in hook.got:
        message = json.loads(body)
        assert headers["X-Interlock-Delivery"] == message["delivery"] == f"{run}/{message['seq']}"
        assert headers["X-Interlock-Event"] == message["event"]
        wanted = hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
        assert headers["X-Interlock-Signature-256"] == f"sha256={wanted}"
    assert untold(world) == []


def test_the_page_says_how_to_verify(world: World) -> None:
    hook = Hook()
    with served(hook) as port:
        hooked(world, port)
        start(world)
    ((headers, body),) = hook.got
    page = (DOCS / "notify.md").read_text()
    parts: dict[str, Any] = {}
    exec(next(block.text for block in blocks(page) if block.words == "verify"), parts)
    signed = headers["X-Interlock-Signature-256"]
    assert parts["is_from_interlock"](KEY, body, signed)
    assert not parts["is_from_interlock"]("another", body, signed)
    assert not parts["is_from_interlock"](KEY, body + b" ", signed)
    shown = json.loads(next(block.text for block in blocks(page) if block.language == "json"))
    assert shown.keys() == json.loads(body).keys()
    assert shown["waits"].keys() == json.loads(body)["waits"].keys()
    headed = {name.lower() for name in headers if name.lower().startswith("x-")}
    assert headed == {name.lower() for name in re.findall(r"^\| `(X-[\w-]+)`", page, re.MULTILINE)}


def test_failed_is_told_with_its_reason_and_cancelled_is_not(world: World) -> None:
    hook = Hook()
    with served(hook) as port:
        hooked(world, port)
        world.ask("run", "-t", "x", "-p", "red.yaml", "--plain").ended(5)
        start(world)
        world.ask("cancel").ended(0, "cancelled")
    assert hook.events() == ["failed", "waiting"]
    assert "never" in hook.told()[0]["why"]
    assert (hook.told()[0]["phase"], hook.told()[0]["waits"]) == ("stopped", None)


def test_a_pause_is_told(world: World) -> None:
    hook = Hook()
    no = PIPELINE.replace("echo", "exit 1; echo").replace("agent: own", "agent: own\n    attempts: 1")
    world.commit({"interlock.yaml": no})
    with served(hook) as port:
        hooked(world, port)
        start(world)
    (message,) = hook.told()
    assert (message["event"], message["waits"]["stage"], message["waits"]["gate"]) == ("waiting", "code", "")
    assert message["waits"]["detail"]
    assert f"interlock cancel {message['run']}" in message["waits"]["commands"]


def test_only_the_events_that_are_wanted(world: World) -> None:
    hook = Hook()
    with served(hook) as port:
        hooked(world, port, ", events: [accepted]")
        start(world)
        world.ask("approve").ended(0)
    assert hook.events() == ["accepted"]


def test_without_a_secret_nothing_is_signed(world: World) -> None:
    hook = Hook()
    with served(hook) as port:
        settings(world, f"{{webhook: 'http://127.0.0.1:{port}/'}}")
        start(world)
    assert [name for headers, _ in hook.got for name in headers if "Signature" in name] == []
    assert hook.events() == ["waiting"]


def test_trouble_is_tried_again(world: World) -> None:
    hook = Hook(answers=[500, 429])
    with served(hook) as port:
        hooked(world, port)
        start(world)
    assert hook.events() == ["waiting"] * 3
    assert len({body for _, body in hook.got}) == 1
    assert untold(world) == []


def test_a_no_is_not_asked_again_before_the_run_goes_on(world: World) -> None:
    hook = Hook(answers=[403])
    with served(hook) as port:
        hooked(world, port)
        start(world)
        assert hook.events() == ["waiting"]
        assert untold(world)[0]["why"] == "HTTP 403"
        world.ask("resume").ended(3)
    assert hook.events() == ["waiting"] * 2
    assert untold(world) == []


def test_a_redirect_gets_nothing(world: World) -> None:
    other = Hook()
    with served(other) as there:
        hook = Hook(answers=[307, 302], headers={"Location": f"http://127.0.0.1:{there}/"})
        with served(hook) as port:
            hooked(world, port)
            start(world)
            world.ask("resume").ended(3)
    assert other.got == []
    assert "HTTP 302" in untold(world)[0]["why"]


def test_a_server_that_hangs_does_not_hold_the_run(world: World) -> None:
    hook = Hook(hold=threading.Event())
    two = PIPELINE + "  more: {agent: own, gates: [{id: ok, run: 'true'}]}\n  join: {needs: [code, more]}\n"
    world.commit({"interlock.yaml": two})
    with served(hook) as port:
        hooked(world, port, ", timeout_s: 600")
        start(world)  # it ends, though nobody answers
        assert hook.events() == ["waiting"]
        assert {stage["id"]: stage["phase"] for stage in world.show()["stages"]}["more"] == "accepted"
        (item,) = untold(world)
    assert (item["event"], item["why"]) == ("waiting", "no answer before interlock exited")
    world.ask("show").ended(0, f"not sent webhook 127.0.0.1:{port}, waiting", "interlock resume")


def test_a_try_ends_in_time_also_where_the_answer_drips(world: World) -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            for _ in range(2):
                talk, _ = server.accept()
                threading.Thread(target=dripped, args=(talk,), daemon=True).start()

        def dripped(talk: socket.socket) -> None:
            with talk, suppress(OSError):
                talk.sendall(b"HTTP/1.1 204 yes\r\n")
                while not over.wait(0.05):
                    talk.sendall(b"X-More: 1\r\n")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        hooked(world, server.getsockname()[1], ", timeout_s: 0.4, attempts: 2")
        start(world)
        thread.join(60)
        assert not thread.is_alive()  # it was asked twice
        over.set()
    assert untold(world)[0]["why"] == "no answer in 0.4 s"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
def test_https_is_verified(world: World) -> None:
    key, certificate, hook = world.root / "key.pem", world.root / "certificate.pem", Hook()
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 2 -subj /CN=localhost"
    subprocess.run([*words.split(), "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with served(hook, context=context) as port:
        settings(world, f"{{webhook: 'https://localhost:{port}/', attempts: 1}}")
        start(world)
        assert (hook.got, "CERTIFICATE_VERIFY_FAILED" in untold(world)[0]["why"]) == ([], True)
        world.ask("resume", SSL_CERT_FILE=str(certificate)).ended(3)
    assert hook.events() == ["waiting"]


def test_a_dead_server_is_told_at_the_next_resume(world: World) -> None:
    hook = Hook()
    with served(Hook()) as port:
        hooked(world, port, ", attempts: 2")
    start(world)
    assert "refused" in untold(world)[0]["why"]
    world.ask("approve").ended(0)  # an accepted run, and still nobody has heard of it
    assert [item["event"] for item in untold(world)] == ["waiting", "accepted"]
    with served(hook, port):
        world.ask("resume", world.show()["id"]).ended(0, "has ended")
    assert hook.events() == ["waiting", "accepted"]
    assert [message["phase"] for message in hook.told()] == ["accepted", "accepted"]
    assert hook.told()[0]["waits"]["commands"] == []  # somebody has answered meanwhile
    assert untold(world) == []


def test_what_was_killed_before_it_was_told_is_told_later(world: World) -> None:
    hook = Hook(hold=threading.Event())
    with served(hook) as port:
        hooked(world, port)
        process = world.start("run", "-t", "x", "--plain")
        until(lambda: bool(hook.got))
        process.kill()
        process.communicate(timeout=60)
        assert untold(world)[0]["why"] == ""
        world.ask("show").ended(0, "no try has finished yet")
        assert hook.hold is not None
        hook.hold.set()
        world.ask("resume").ended(3)
    assert hook.events() == ["waiting"] * 2
    assert len({headers["X-Interlock-Delivery"] for headers, _ in hook.got}) == 1
    assert untold(world) == []


def test_what_happened_before_anybody_was_to_be_told_is_not_told(world: World) -> None:
    hook = Hook()
    start(world)
    with served(hook) as port:
        hooked(world, port)
        world.ask("approve").ended(0)
    assert hook.events() == ["accepted"]


def test_a_command_gets_the_same_on_its_standard_input(world: World) -> None:
    folder = settings(
        world, "{command: [./tell, now], secret: NOTIFY_KEY, webhook: 'http://127.0.0.1:1/', attempts: 1}"
    )
    tell = folder / "tell"
    tell.write_text('#!/bin/sh\necho "$1 $HOME ${NOTIFY_KEY-none}" >> words\ncat >> said\necho >> said\n')
    tell.chmod(0o755)
    start(world)
    world.ask("approve").ended(0)
    said = [json.loads(line) for line in (folder / "said").read_text().splitlines()]
    assert [message["event"] for message in said] == ["waiting", "accepted"]
    assert (folder / "words").read_text().splitlines() == [f"now {world.root / 'home'} none"] * 2
    assert {item["channel"] for item in untold(world)} == {"webhook 127.0.0.1:1"}


@pytest.mark.parametrize(
    ("script", "more", "why"),
    [
        ("echo broken >&2; exit 4", "", "exit code 4: broken"),
        ("sleep 600", ", timeout_s: 0.2", "no end after 0.2 s"),
        ("sleep 600", ", timeout_s: 600", "no end before interlock exited"),
    ],
)
def test_a_command_in_trouble_is_told_of(world: World, script: str, more: str, why: str) -> None:
    settings(world, f"{{command: [bash, -c, '{script}'], attempts: 1{more}}}")
    start(world)
    (item,) = untold(world)
    assert (item["channel"], item["why"]) == ("command bash", why)


def test_a_command_that_is_not_there_is_told_of(world: World) -> None:
    settings(world, "{command: [no-such-program]}")
    start(world)
    (item,) = untold(world)
    assert (item["channel"], item["why"][:24]) == ("command no-such-program", "there is no such program")


def test_a_machine_in_the_way_is_a_refusal(tmp_path: Path) -> None:
    command = CommandChannel(("true",), tmp_path / "gone", {}, 5)
    with pytest.raises(Refusal, match="infrastructure error: true: cannot work in"):
        command.send(Message("r/1", "waiting", b"{}"), threading.Event())


def test_a_key_that_is_not_set_signs_nothing_and_sends_nothing(world: World) -> None:
    hook = Hook()
    with served(hook) as port:
        hooked(world, port)
        start(world, NOTIFY_KEY="")
        assert hook.got == []
        assert "NOTIFY_KEY" in untold(world)[0]["why"]
        world.ask("resume").ended(3)
    assert hook.events() == ["waiting"]


def test_the_key_and_the_address_are_nowhere(world: World) -> None:
    hook = Hook(answers=[500, 400])
    with served(hook) as port:
        hooked(world, port, f", command: [bash, -c, 'echo {KEY}; exit 1'], attempts: 2")
        said = [start(world), world.ask("show"), world.ask("show", "--json"), world.ask("logs", "code/1.1")]
        hook.answers += [400] * 4
        said += [world.ask("approve"), world.ask("resume", world.show()["id"]), world.ask("export", world.show()["id"])]
    assert len(untold(world)) == 4
    for one in said:
        assert KEY not in one.text
        assert "k3y-in-path" not in one.text
    kept = [path for path in (world.root / "state").rglob("*") if path.is_file()]
    assert [path for path in kept if KEY.encode() in path.read_bytes() or b"k3y-in-path" in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3", "notify: 3 is not valid: expected a mapping of webhook, secret, command"),
        ("{}", "notify: set `webhook` or `command`: without them nothing is sent"),
        (
            "{webhook: 'http://example.org/k3y'}",
            "notify.webhook: this is not valid: expected an address that begins with https://",
        ),
        ("{webhook: 'https://u:k3y@example.org/'}", "holds no password"),
        (
            "{webhook: 'https://example.org/', secret: k3y-itself}",
            "notify.secret: this is not valid: expected the name of an",
        ),
        ("{command: [x], secret: KEY}", "notify.secret: it signs webhook messages"),
        ("{command: tell me}", "notify.command: 'tell me' is not valid: expected a list of words, the program first"),
        ("{command: [x], on: [failed]}", "notify.on: no such setting"),
        ("{command: [x], events: [fail]}", "expected a list of some of waiting, accepted, failed"),
        ("{command: [x], timeout: 3}", "notify.timeout: no such setting: did you mean timeout_s?"),
        ("{command: [x], attempts: 0}", "notify.attempts: 0 is not valid: expected an integer from 1 to 20"),
    ],
)
def test_settings_that_are_wrong_are_told(world: World, text: str, words: str) -> None:
    settings(world, text)
    said = world.ask("run", "-t", "x").ended(2, words)
    assert "k3y" not in said.text
