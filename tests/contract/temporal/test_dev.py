"""`interlock dev`: all of it on one machine, which ends as one."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import PROGRAM, World, new_world
from tests.contract.temporal.world import free_port, program, until

from interlock.cli.verbs.dev import _Programs
from interlock.ports import InfrastructureError

QUICK = """\
version: 1
stages:
  code: {run: "echo x > a.txt", gates: [{id: g, run: "test -s a.txt"}]}
"""


@pytest.fixture(autouse=True)
def in_turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two that start at the same moment want the same port for their pages."""
    with (tmp_path_factory.getbasetemp().parent / "dev.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def world(tmp_path: Path) -> World:
    program()
    made = new_world(tmp_path, {"interlock.yaml": QUICK}, TEMPORAL_HOME=str(tmp_path))
    settle(made, f"127.0.0.1:{free_port()}")
    return made


def settle(world: World, address: str, **more: str) -> None:
    folder = Path(world.environment()["XDG_CONFIG_HOME"]) / "interlock"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.yaml").write_text(json.dumps({"temporal": {"address": address, **more}}))


@pytest.fixture
def process(world: World) -> Iterator[subprocess.Popen[str]]:
    made = world.start("dev")
    yield made
    made.kill()
    made.communicate()


def page_of(process: subprocess.Popen[str]) -> str:
    """The address of its page, when all is ready."""
    assert process.stderr is not None
    assert process.stdout is not None
    line = process.stderr.readline()
    assert line.startswith("Temporal at 127."), line + process.stderr.read()
    return process.stdout.readline().strip()


def children(pid: int) -> set[int]:
    """All processes below this one."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in table.splitlines()]
    found, more = {pid}, True
    while more:
        below = {child for child, parent in rows if parent in found} - found
        more = bool(below)
        found |= below
    return found - {pid}


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_all_of_it_works_says_its_page_and_ends_as_one(world: World, process: subprocess.Popen[str]) -> None:
    page = page_of(process)
    below = children(process.pid)
    world.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(0)
    opened = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())  # the first answer sets a cookie
    with opened.open(page) as answer:
        assert b"interlock" in answer.read()
    said = world.ask("dev").ended(5, "`interlock dev` is at work already (process ")
    assert f"process {process.pid} on" in said.err
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert "all of them are ended" in rest
    until(lambda: not any(map(is_alive, below)), "something outlived `interlock dev`")
    folder = world.root / "state" / "interlock" / "dev"
    assert (folder / "temporal.db").read_bytes()[18:20] == b"\2\2", "its server has no write-ahead log"
    assert (folder / "payloads.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {"server.log", "controller.log", "worker.log", "page.log"} <= {path.name for path in folder.iterdir()}
    assert not [path for path in folder.glob("*.log") if b"\x1b" in path.read_bytes()]


def test_what_it_has_started_ends_with_it_when_it_is_killed(process: subprocess.Popen[str]) -> None:
    page_of(process)
    below = children(process.pid)
    process.kill()
    process.communicate()
    until(lambda: not any(map(is_alive, below)), "something outlived `interlock dev`")


def test_a_worker_and_a_controller_that_ended_are_started_again(world: World, process: subprocess.Popen[str]) -> None:
    page_of(process)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Ctrl-C")
    for words in ("--slots", "--controller"):
        os.kill(below(process.pid, words), signal.SIGKILL)
        said = process.stderr.readline()
        assert re.match(r"the (worker|controller) has ended; it is started again, and its log is now /", said)
    world.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(0)
    assert process.poll() is None


def below(pid: int, words: str) -> int:
    """The process below `pid` with these words in its command."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [one for one in children(pid) if words in Path(f"/proc/{one}/cmdline").read_text().split("\0")]
        return bool(found)

    until(look)
    return found[0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be a user without a name")
def test_the_server_starts_for_a_user_without_a_name(tmp_path: Path) -> None:
    """In a namespace in which this process has such an id."""
    world = new_world(tmp_path, {"interlock.yaml": QUICK}, TEMPORAL_HOME=str(tmp_path), USER="", LOGNAME="")
    settle(world, f"127.0.0.1:{free_port()}")
    argv = ["unshare", "--user", "--map-user=54321", *PROGRAM, "dev"]
    environ = {name: value for name, value in world.environment().items() if value}
    process = subprocess.Popen(
        argv, cwd=world.repository, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        page_of(process)
    finally:
        process.terminate()
        process.communicate()


def test_one_that_ends_again_and_again_ends_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    programs = _Programs(tmp_path)
    programs.start("worker", ("sh", "-c", "echo x >> starts; echo wrong"), again_max=2)
    try:
        with pytest.raises(InfrastructureError, match="the worker has ended, and so have all others"):
            programs.require_alive()
    finally:
        programs.stop()
    assert (tmp_path / "starts").read_text() == "x\n" * 3
    assert (tmp_path / "worker.before.log").read_text() == "wrong\n"
    assert capsys.readouterr().err.count("it is started again") == 2


def test_who_has_not_its_key_starts_nothing_there(world: World, process: subprocess.Popen[str]) -> None:
    """Another user, or an agent with the network: with settings of its own, and blobs that it can write, with the mark
    that stands in the names of task queues."""
    page_of(process)
    address = json.loads(next(world.root.rglob("settings.yaml")).read_text())["temporal"]["address"]
    (world.root / "other").mkdir()
    other = new_world(world.root / "other", {"interlock.yaml": QUICK.replace("echo x", "touch ran; echo x")})
    mark = world.root / "state/interlock/dev/blobs/named/mark"
    until(mark.exists)
    (other.root / "blobs/named").mkdir(parents=True)
    (other.root / "blobs/named/mark").write_bytes(mark.read_bytes())
    settle(other, address, blobs=str(other.root / "blobs"))
    started = other.start("run", "--engine", "temporal", "--plain", "-t", "x")
    controller = world.root / "state/interlock/dev/controller.log"
    until(lambda: "a payload is not encrypted, and this machine has a key" in controller.read_text())
    started.kill()
    started.communicate()
    world.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(0)  # and it serves its own user


def test_nobody_relies_on_a_server_here_without_its_key(tmp_path: Path) -> None:
    program()
    world = new_world(tmp_path, {"interlock.yaml": QUICK})
    with socket.create_server(("127.0.0.1", 0)) as other:  # whoever listens there
        address = f"127.0.0.1:{other.getsockname()[1]}"
        settle(world, address)
        for words in (("worker",), ("worker", "--controller"), ("run", "--engine", "temporal", "-t", "x")):
            world.ask(*words).ended(2, f"{address} is trusted only with the key that `interlock dev` makes", "start")


def test_what_is_in_its_way_is_said(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settle(world, f"127.0.0.1:{port}")
        said = world.ask("dev").ended(5, f"127.0.0.1:{port}: Address already in use: end what listens there")
        other = re.search(r"\{address: '(127\.0\.0\.1:\d+)'\}", said.err)
        assert other is not None, said.err
        settle(world, other[1])
        made = world.start("dev")
        try:
            page_of(made)
            world.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(0)
        finally:
            made.kill()
            made.communicate()
    settle(world, "temporal.example.org:7233", blobs=str(world.root))
    world.ask("dev").ended(2, "`interlock dev` starts a server on this machine")
    settle(world, "127.0.0.1:7233", blobs=str(world.root))
    world.ask("dev").ended(2, "asks nobody who they are: set temporal.codec_key in the settings, or take")
    settle(world, "127.0.0.1:7233", api_key="HOME")
    world.ask("dev").ended(2, "`interlock dev` has no TLS")


def test_of_a_program_that_ended_both_ends_of_long_lines_are_shown(tmp_path: Path) -> None:
    programs = _Programs(tmp_path)
    programs.start("server", ("python3", "-c", "print('begins', 'x' * 5000, 'is the cause')"))
    try:
        with pytest.raises(InfrastructureError) as said:
            programs.require_alive()
    finally:
        programs.stop()
    head, line = str(said.value).split("\n  ")
    assert head == f"the server has ended, and so have all others; {tmp_path}/server.log ends with:"
    assert re.fullmatch("begins x.*x is the cause", line)
    assert len(line) <= 300
