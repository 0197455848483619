"""Limits of rooms as a user meets them: of an agent, a gate, a script and setup; what `doctor` says; what is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of, verdicts_of
from tests.contract.sandbox.rooms import checkout_in, run_in
from tests.contract.web.world import served
from tests.rooms_here import needs_rooms

from interlock.core.pipeline import RoomLimits
from interlock.ports import InfrastructureError, Sandbox
from interlock.process import Finished, How, Supervised, checkout_environment, room, supervise
from interlock.process.cgroups import Group, find_parents
from interlock.process.spawner import Spawner
from interlock.sandbox import Room, confine, limits_held

pytestmark = needs_rooms
PARENTS = find_parents()
needs_groups = pytest.mark.skipif(not PARENTS, reason="no control group can be made here")

FULL = {"INTERLOCK_SANDBOX": ""}
BOMB = "i=0; while [ $i -lt 60 ]; do sleep 9 & i=$((i + 1)); done; sleep 3"
FILLS = "head -c 30000000 /dev/zero > big; sleep 3"
HOGS = "head -c 90000000 /dev/zero | tail -c 89000000 > /dev/null; sleep 3"
PIPELINE = """\
version: 1
sandbox: {memory: 60 MB, processes: 20, disk: 20 MB, file_size: 500 MB}
agents:
  coder: {use: command, run: ["sh", "-c", "AGENT"]}
SETUP
stages:
  code:
    WORKER
    attempts: 2
    gates:
      - {id: works, run: ["sh", "-c", "GATE"]}
"""


def world_of(folder: Path, *, agent: str = "echo 2 > two", gate: str = "test -e two", setup: str = "", script: str = "") -> World:  # fmt: skip # noqa: E501
    made = f'setup: [{{run: ["sh", "-c", "{setup}"], paths: [out]}}]' if setup else ""
    worker = f'run: ["sh", "-c", "{script}"]' if script else "agent: coder"
    text = PIPELINE.replace("AGENT", agent).replace("GATE", gate).replace("SETUP\n", f"{made}\n")
    return new_world(folder, {"interlock.yaml": text.replace("WORKER", worker)})


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (BOMB, "processes: had more than 20 processes and threads at once"),
        (FILLS, "disk: wrote more than 20 MB"),
        (HOGS, "memory: used more than 60 MB"),
    ],
    ids=["processes", "disk", "memory"],
)
def test_an_agent_that_passes_a_limit_is_rejected_and_the_next_is_told(does: str, words: str, tmp_path: Path) -> None:
    once = f"grep -q was.ended $BRIEF && cp $BRIEF told && echo 2 > two && exit; {does}"
    world = world_of(tmp_path / "user", agent=once)
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0, words)
    first, second = stage_of(world.show(), "code")["attempts"]
    assert [first["outcome"], second["outcome"]] == ["over_limit", "completed"]
    assert f"sh was ended: {words}" in str(first)
    assert words in world.git("show", f"{world.show()['branch']}:told")
    assert words in world.ask("show", "--full", **FULL).text


def test_a_rejection_by_a_limit_names_it_and_no_gate(tmp_path: Path) -> None:
    """Wherever it is read: lines, the page of a run and of an attempt, the browser."""
    world = world_of(tmp_path / "user", agent=BOMB)
    words = "ended by a limit: processes: had more than 20 processes and threads at once"
    said = world.ask("run", "-t", "Look.", "--plain", **FULL).ended(3, words, "rejected: nothing of its work was taken")
    run = world.show()["id"]
    with served(world) as site, site.client() as client:
        page, attempt = (client.get(f"/runs/{run}{path}").text for path in ("", "/attempts/code/1.1"))
    shown = [world.ask("show", *more, **FULL).text for more in ((), ("code/1.1", "--full"))]
    told = (said.text, *shown, *(unescape(re.sub(r"<[^>]+>", "", text)) for text in (page, attempt)))
    for text in told:
        assert words in text, text
        assert not re.search(r"by scope|gate (code/)?scope failed|scope +failed|^scope sh was", text), text


def test_a_gate_that_passes_a_limit_never_passes(tmp_path: Path) -> None:
    """Whatever its exit code is: where it could decide on the input, the candidate is to blame."""
    world = world_of(tmp_path / "user", gate=f"test -e two || exit 1; {BOMB.replace('sleep 3', 'exit 0')}")
    said = world.ask("run", "-t", "Look.", "--plain", **FULL).ended(3, "processes: had more than 20")
    verdict = verdicts_of(stage_of(world.show(), "code")["attempts"][0])["code/works"]
    assert (verdict["status"], [one["rule"] for one in verdict["findings"]]) == ("failed", ["limit"]), said.text


def test_a_gate_that_passes_a_limit_on_the_base_decides_nothing(tmp_path: Path) -> None:
    world = world_of(tmp_path / "user", gate=BOMB.replace("sleep 3", "exit 0"))
    words = "processes: had more than 20 processes and threads at once: it was ended; use less, or raise `processes`"
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(5, "gate code/works cannot run on the base", words)


def test_setup_that_passes_a_limit_is_told(tmp_path: Path) -> None:
    world = world_of(tmp_path / "user", setup=f"mkdir out; {FILLS.replace('big', 'out/big')}")
    said = world.ask("run", "-t", "Look.", "--plain", **FULL)
    assert said.code != 0
    assert "disk: wrote more than 20 MB" in said.text


def test_a_script_that_passes_a_limit_is_told(tmp_path: Path) -> None:
    world = world_of(tmp_path / "user", script=BOMB)
    said = world.ask("run", "-t", "Look.", "--plain", **FULL)
    assert said.code != 0
    assert "over limit: sh was ended: processes: had more than 20 processes and threads at once" in said.text


def test_doctor_tries_each_limit(tmp_path: Path) -> None:
    said = world_of(tmp_path / "user").ask("doctor", **FULL).text
    line = next(line for line in said.splitlines() if "limits:" in line)
    assert "file_size by the kernel" in line
    assert "not ended" not in line
    assert {one.limit for one in limits_held(os.environ) if one.means} == {"memory", "processes", "file_size", "disk"}


def test_an_ordinary_program_meets_no_default(tmp_path: Path) -> None:
    """Many threads, some memory, a large file that is sparse."""
    script = (
        "import threading, time\n"
        "for _ in range(500): threading.Thread(target=time.sleep, args=(0.5,)).start()\n"
        "kept = bytearray(b'x') * 200_000_000\n"
        "open('/w/home/sparse', 'wb').truncate(1_000_000_000)"
    )
    ended = run_in(checkout_in(tmp_path), (sys.executable, "-c", script)).finished
    assert (ended.how, ended.code) == (How.EXITED, 0), ended


def test_a_limit_that_was_passed_at_the_last_moment_counts(tmp_path: Path) -> None:
    """The program ends at once, and says that all went well."""
    limits = RoomLimits(disk_bytes=10_000_000)
    ended = run_in(checkout_in(tmp_path, Sandbox("full", limits=limits)), "head -c 40000000 /dev/zero > big").finished
    assert (ended.how, ended.over) == (How.OVER_LIMIT, "disk: wrote more than 10 MB")


def test_what_was_there_before_does_not_count(tmp_path: Path) -> None:
    checkout = checkout_in(tmp_path, Sandbox("full", limits=RoomLimits(disk_bytes=5_000_000, files=100)))
    (checkout.tree / "big").write_bytes(bytes(20_000_000))
    for number in range(200):
        (checkout.tree / f"f{number}").touch()
    time.sleep(0.2)
    assert run_in(checkout, "sleep 3; cat big > /dev/null").finished.how is How.EXITED


@pytest.mark.parametrize("at_once", [1, 4])
def test_no_program_holds_what_is_another_ones(at_once: int, tmp_path: Path) -> None:
    """Its supervisor was there before it, and others ran meanwhile: it has its own three files, and that of `ls`."""
    for turn in range(3):
        places = [checkout_in(tmp_path / f"{turn}-{number}") for number in range(at_once)]
        with ThreadPoolExecutor(at_once) as pool:
            for ended in pool.map(lambda place: run_in(place, "sleep 0.1; ls /proc/self/fd"), places):
                assert ended.said.split() == ["0", "1", "2", "3"]


@needs_groups
def test_no_supervisor_is_in_the_group_of_its_program(tmp_path: Path, start: Start) -> None:
    """At no time: the kernel would end it for what the program takes, and what it guards would only be swept up."""
    seen: list[tuple[int, int]] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            seen.extend((pid, _parent(pid)) for pid in in_groups(start.server))

    with started(look, is_over):
        for memory in (10_000_000, 0, 10_000_000):
            assert start("sleep 0.2; true", memory).how is How.EXITED
    assert seen
    assert start.server not in {parent for _, parent in seen}


@needs_groups
@pytest.mark.parametrize("memory", [200_000, 500_000, 1_000_000])
def test_less_memory_than_a_room_takes_is_no_fault_of_the_machine(memory: int, start: Start) -> None:
    """The kernel ends bubblewrap, or what was about to become it: the program has passed its limit."""
    for _ in range(4):
        ended = start("true", memory)
        assert ended.how is How.OVER_LIMIT or (memory == 1_000_000 and ended.code == 0), ended
        assert ended.over.partition(":")[0] in ("memory", "")


@needs_groups
def test_bubblewrap_that_is_refused_a_process_has_passed_a_limit(start: Start) -> None:
    """No pipeline can set so few: it makes no room, and says so."""
    assert start("true", processes=-1).over.startswith("processes: ")
    assert start("true").code == 0


@needs_groups
def test_who_takes_all_memory_at_once_is_ended_and_no_supervisor(start: Start) -> None:
    """Many begin at the same time. Files in memory belong to no process, so the kernel ends one that has little."""
    takes = "head -c 30000000 /dev/zero > /dev/shm/big"
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: start(takes, 20_000_000).over, range(24)))
    assert set(found) == {"memory: used more than 20 MB"}


@needs_groups
def test_a_group_is_as_new_for_the_next_program(start: Start) -> None:
    """After one that passed a limit, with what it left in memory, and with a limit that is much lower."""
    for takes in ("head -c 90000000 /dev/zero > /dev/shm/big", "head -c 90000000 /dev/zero | tail -c 89000000 > big"):
        for memory, how in ((60_000_000, How.OVER_LIMIT), (200_000_000, How.EXITED)):
            ended = [start(takes, memory).how, *(start("true", 3_000_000).how for _ in range(3))]
            assert ended == [how, *[How.EXITED] * 3]


@needs_groups
@pytest.mark.parametrize("who", ["the child", "the supervisor"])
def test_what_waits_may_be_killed(who: str, start: Start) -> None:
    """As by the kernel, where the machine itself has no memory left."""
    for _ in range(3):
        assert start("true").code == 0
        until(lambda: bool(in_groups(start.server)))
        (child,) = in_groups(start.server)
        os.kill(child if who == "the child" else _parent(child), signal.SIGKILL)
        until(lambda: child not in in_groups(start.server))  # noqa: B023


@needs_groups
def test_a_machine_without_room_for_processes_is_told_and_used_again(start: Start) -> None:
    """A fork bomb elsewhere: neither the fork server nor a supervisor can fork."""
    group = Group(tuple(one for one in PARENTS if one.kind == "pids"), f"{os.getpid()}-full")
    group.set({})
    try:
        assert start("true").code == 0
        (folder,) = (one.folder for one in PARENTS if one.kind == "pids")
        Path(folder, f"interlock-{os.getpid()}-full", "cgroup.procs").write_text(f"{start.server}")
        group.set({"pids": 1})
        assert start("true").code == 0  # by what waited
        for most in (1, 2):  # the fork server alone, then with a supervisor
            group.set({"pids": most})
            with pytest.raises(InfrastructureError, match="is there room for more processes"):
                start("true")
        group.set({})
        for _ in range(3):
            assert start("true").code == 0
        assert start.by._server is not None
        assert start.by._server.pid == start.server
    finally:
        start.by.close()
        until(group.is_empty)
        group.remove()


def test_a_listener_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> int:
        raise BlockingIOError(11, "no room")

    monkeypatch.setattr(os, "fork", refuses)
    with pytest.raises(BlockingIOError):
        room.listeners(1, (80,))


class Start:
    """Starts programs, in rooms with limits, by a fork server of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = iter(range(1000))
        self.by = Spawner(os.environ)
        self.by.prepare()
        assert self.by._server is not None
        self.server = self.by._server.pid

    def __call__(self, script: str, memory: int = 0, **others: int) -> Finished:
        checkout = checkout_in(self._folder / str(next(self._count)))
        work = Supervised(
            ("/bin/sh", "-c", script),
            checkout.tree,
            checkout_environment(os.environ, checkout),
            checkout.root / "output/log",
            20,
        )
        confined = confine(work, Room(checkout))
        assert confined.limits is not None
        return supervise(
            replace(confined, limits=confined.limits._replace(memory=memory, **others)), threading.Event(), by=self.by
        )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made = Start(tmp_path)
    yield made
    made.by.close()


@contextmanager
def started(does: Callable[[], None], is_over: threading.Event) -> Iterator[None]:
    """It runs beside, until the end."""
    thread = threading.Thread(target=does)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def in_groups(server: int) -> set[int]:
    """The processes in the groups of a fork server."""
    lists = (path for one in PARENTS for path in Path(one.folder).glob(f"interlock-{server}-[0-9]*/cgroup.procs"))
    return {int(pid) for path in lists for pid in path.read_text().split()}


@needs_groups
def test_no_control_group_is_left(tmp_path: Path) -> None:
    """Neither after an end nor after all were killed: then the next start removes them."""
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2])\n"
        "from tests.contract.sandbox.rooms import checkout_in, run_in\n"
        "run_in(checkout_in(pathlib.Path(sys.argv[1])), 'sleep ' + sys.argv[3])"
    )
    words = (sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[3]))
    with subprocess.Popen((*words, "1")) as ended:
        until(lambda: bool(servers_of(ended)))
        servers = servers_of(ended)
    until(lambda: servers.isdisjoint(groups()))
    with subprocess.Popen((*words, "60")) as killed:
        until(lambda: bool(servers_of(killed)))
        servers = servers_of(killed)
        killed.send_signal(signal.SIGKILL)
        for server in servers:
            os.kill(server, signal.SIGKILL)
    time.sleep(0.5)
    subprocess.run((*words, "0"), check=True)
    until(lambda: servers.isdisjoint(groups()))


def groups() -> set[int]:
    """The fork servers that groups are named by; other tests have theirs."""
    found = (path.name for one in PARENTS for path in Path(one.folder).glob("interlock-*-[0-9]*"))
    return {int(name.split("-")[1]) for name in found}


def servers_of(process: subprocess.Popen[bytes]) -> set[int]:
    return {server for server in groups() if _parent(server) == process.pid}


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except OSError:
        return 0


def until(holds: object) -> None:
    assert callable(holds)
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
@pytest.mark.parametrize("limit", ["", "sandbox: {disk: 5 GB}\n"], ids=["default", "more than there is"])
def test_who_fills_a_small_disk_has_passed_a_limit(limit: str, tmp_path: Path) -> None:
    """Its output cannot be written meanwhile, which is no failure of the machine."""
    fills = "cat /dev/zero > big; i=0; while [ $i -lt 9 ]; do seq 20000; i=$((i + 1)); done; sleep 1"
    pipeline = f"""\
version: 1
{limit}agents:
  coder: {{use: command, run: ["sh", "-c", "{fills}"]}}
stages:
  code: {{agent: coder, attempts: 1, gates: [{{id: works, run: "true"}}]}}
"""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m", "small", str(disk)], check=True)
    try:
        world = new_world(disk / "user", {"interlock.yaml": pipeline})
        world.ask("run", "-t", "Look.", "--plain", **FULL).ended(3, "code/1.1     ended by a limit: disk: ")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
