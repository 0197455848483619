"""A program behind a fence (the level `fs`) runs as outside of one, but for what it may do."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.sandbox.rooms import Ended, checkout_in, run_in
from tests.contract.sandbox.test_network import ASKS, NAMES, asked, port  # noqa: F401 - fixtures
from tests.rooms_here import needs_fences

from interlock.ports import InfrastructureError, Sandbox, UsageError
from interlock.process import How, Supervised, checkout_environment, supervise
from interlock.sandbox import Network, Room, confine, fence_probe, probe_fence, require
from interlock.sandbox.fence_probe import lack_of
from interlock.sandbox.seccomp import fence_filter

pytestmark = needs_fences
FS = Sandbox("fs")

ENDS = {
    "exit 0": (How.EXITED, 0),
    "exit 137": (How.EXITED, 137),
    "kill -9 $$": (How.EXITED, -9),
    "kill -SEGV $$": (How.EXITED, -11),
    "sleep 600 & exit 4": (How.EXITED, 4),
    "setsid sleep 600 & exit 5": (How.EXITED, 5),
}


@pytest.mark.parametrize("script", ENDS)
def test_a_program_ends_as_outside(script: str, tmp_path: Path) -> None:
    done = run_in(checkout_in(tmp_path, FS), script).finished
    assert (done.how, done.code) == ENDS[script]


def test_this_machine_makes_fences() -> None:
    found = probe_fence()
    assert (found.level, found.missing) == ("fs", "")
    assert found.took_ms > 0
    require("fs", os.environ)


def test_it_sees_its_checkout_where_it_lies_and_writes_only_there(tmp_path: Path) -> None:
    made = checkout_in(tmp_path / "one", FS)
    aside, beside = tmp_path / "one/agent", tmp_path / "one/beside"
    for folder in (aside, beside):
        folder.mkdir()
    (beside / "skill.md").write_text("read me")
    script = (
        f"echo t > t; mkdir -p d; mv t d/t; echo h > ~/h; echo m > $TMPDIR/m; echo a > {aside}/a; pwd; "
        f"cat {beside}/skill.md; echo x > {beside}/y; echo x > {tmp_path}/z"
    )
    said = run_in(made, script, writes=(aside,), reads=(beside,)).said
    assert said.startswith(f"{made.tree}\nread me")
    assert said.count("Permission denied") == 2
    assert all((made.root / name).exists() for name in ("tree/d/t", "home/h", "tmp/m", "agent/a"))
    assert made.lies(made.seen(aside / "x")) == aside / "x"


def test_what_the_pipeline_names_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("named")
    made = checkout_in(tmp_path / "one", replace(FS, read=(str(tmp_path / "data"),)))
    assert run_in(made, f"cat {tmp_path}/data").said == "named"
    with pytest.raises(InfrastructureError, match="read: there is no /nowhere"):
        run_in(checkout_in(tmp_path / "two", replace(FS, read=("/nowhere",))), "true")


def test_a_program_that_is_not_there_is_told_apart_from_one_that_fails(tmp_path: Path) -> None:
    done = run_in(checkout_in(tmp_path, FS), ("no-such-program",))
    assert done.finished.how is How.NOT_FOUND
    assert "no-such-program: not found: not on the PATH" in done.said
    assert run_in(checkout_in(tmp_path, FS), "echo no-such-program: not found; exit 1").finished.how is How.EXITED


def test_its_input_can_be_opened_again(tmp_path: Path) -> None:
    made = checkout_in(tmp_path, FS)
    words = ("/bin/sh", "-c", "cat /dev/stdin > /dev/stdout")
    work = Supervised(words, made.tree, checkout_environment(os.environ, made), tmp_path / "output/log", 20, b"given")
    assert supervise(confine(work, Room(made)), threading.Event()).tail == b"given"


def test_common_programs_work(tmp_path: Path) -> None:
    script = (
        "git init -q . && echo a > a && git add a && git -c user.name=a -c user.email=a@b commit -qm a && "
        "git log --oneline | wc -l && python3 -c 'import sqlite3, ssl, json, tempfile; tempfile.mkstemp(); print(2)'"
    )
    assert run_in(checkout_in(tmp_path, FS), script).said.split() == ["1", "2"]


def test_no_program_starts_where_no_fence_can_be_made(tmp_path: Path) -> None:
    made = checkout_in(tmp_path, FS)
    work = Supervised(("/bin/touch", "started"), made.tree, {}, tmp_path / "output/log", 20)
    confined = confine(work, Room(made))
    assert confined.fence is not None
    too_wrong = replace(confined, fence=replace(confined.fence, filter=b"\xff" * 16))
    without = replace(confined, fence=replace(confined.fence, filter=b""))
    for wrong, why in ((too_wrong, errno.EINVAL), (without, errno.ENOSYS)):
        with pytest.raises(InfrastructureError, match=f"no sandbox could be made for it: {os.strerror(why)}") as error:
            supervise(wrong, threading.Event())
        assert error.value.permanent
    assert not (made.tree / "started").exists()


def test_where_landlock_is_too_old_it_is_said_what_would_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "needs Linux 6.12 with `landlock` in" in lack_of(0)
    assert "version 4, and 6 is needed (Linux 6.12): devices would take any order; processes outside" in lack_of(4)
    assert "TCP" in lack_of(3)
    assert lack_of(6) == lack_of(9) == ""
    fence_probe.look_behind_fence.cache_clear()
    monkeypatch.setattr(fence_probe, "landlock_abi", lambda: 5)
    try:
        with pytest.raises(UsageError, match="sandbox fs is not in force on this machine: Landlock has version 5"):
            require("fs", os.environ)
    finally:
        fence_probe.look_behind_fence.cache_clear()


def test_a_fence_that_does_not_hold_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that says that it has Landlock, and does not refuse."""
    fence_probe.look_behind_fence.cache_clear()
    monkeypatch.setattr(fence_probe, "confine", lambda work, room: work)
    try:
        missing = probe_fence().missing
        for what in ("files outside are not read", "files outside are not written", "there is no network", "signals"):
            assert what in missing
    finally:
        fence_probe.look_behind_fence.cache_clear()


def test_the_calls_of_an_unknown_processor_are_not_guessed() -> None:
    assert fence_filter(all_sockets=False, nested=False, machine="riscv64") == b""
    assert fence_filter(all_sockets=False, nested=False, machine="aarch64")


# --- the network ----------------------------------------------------------------------------------

DIRECT = "import socket, sys; print(socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5))"
WITHOUT_PASSWORD = """
import os, socket
port = int(os.environ['HTTP_PROXY'].rpartition(':')[2])
s = socket.create_connection(('127.0.0.1', port), 10)
s.sendall(b'CONNECT public.example:443 HTTP/1.1\\r\\n\\r\\n')
print(s.recv(100).split(b'\\r\\n')[0].decode())
"""


def ask(folder: Path, script: str, target: str, *hosts: str) -> Ended:
    return run_in(checkout_in(folder, FS), (sys.executable, "-c", script, target), hosts=hosts)


def test_a_listed_host_is_reached_by_its_name(port: int, tmp_path: Path) -> None:  # noqa: F811
    done = ask(tmp_path, ASKS, f"http://public.example:{port}/through", f"public.example:{port}", "127.0.0.1")
    assert done.said.startswith("/through"), done.said


REFUSED = {
    "another host": ("http://other.example:443/", "public.example", "not in the list `network`"),
    "another port": ("http://public.example:22/", "public.example", "not in the list `network`"),
    "a private address behind a name": ("http://inside.example/", "inside.example", "10.1.2.3 is not a public one"),
    "a redirect": ("http://public.example:{port}/away", "public.example:{port} 127.0.0.1", "not in the list"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_listed_is_refused_and_told(name: str, port: int, tmp_path: Path) -> None:  # noqa: F811
    target, hosts, why = REFUSED[name]
    done = ask(tmp_path, ASKS, target.format(port=port), *hosts.format(port=port).split())
    assert "no:" in done.said
    log = done.log.read_text()
    assert "sandbox: no connection to " in log
    assert why in log


def test_only_the_proxy_and_listed_ports_of_this_machine_are_connected_to(port: int, tmp_path: Path) -> None:  # noqa: F811
    assert NAMES
    assert "Permission denied" in ask(tmp_path, DIRECT, str(port), "public.example").said
    assert "laddr" in ask(tmp_path, DIRECT, str(port), f"127.0.0.1:{port}").said


def test_the_proxy_serves_nobody_without_its_password(tmp_path: Path) -> None:
    """Its port is on the loopback of the machine, where any process may connect."""
    assert ask(tmp_path, WITHOUT_PASSWORD, "", "public.example").said == "HTTP/1.1 407 login"


def test_an_open_network_is_that_of_the_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = (sys.executable, "-c", DIRECT, str(server.getsockname()[1]))
        assert "laddr" in run_in(checkout_in(tmp_path, FS), words, network=Network.OPEN).said
        assert "Permission denied" in run_in(checkout_in(tmp_path, FS), words).said
