"""Control groups of rooms: who is in them, and when; what is used again; what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.sandbox.rooms import checkout_in
from tests.rooms_here import needs_rooms

from interlock.ports import InfrastructureError
from interlock.process import Finished, How, Supervised, checkout_environment, supervise
from interlock.process.cgroups import Group, find_parents
from interlock.process.spawner import Spawner
from interlock.sandbox import Room, confine

PARENTS = find_parents()
pytestmark = [needs_rooms, pytest.mark.skipif(not PARENTS, reason="no control group can be made here")]


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


def test_a_supervisor_that_is_in_the_group_is_ended(tmp_path: Path, start: Start) -> None:
    """So it has to be outside: here it is put into the group while the program waits."""
    script = "while [ ! -e go ]; do sleep 0.05; done; head -c 90000000 /dev/zero > /dev/shm/big"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(start, script, 60_000_000)
        until(lambda: any(len(path.read_text().split()) > 2 for path in lists_of(start.server)))
        for path in lists_of(start.server):
            pids = [int(pid) for pid in path.read_text().split()]
            if len(pids) > 2:
                path.write_text(str(next(_parent(pid) for pid in pids if _parent(_parent(pid)) == start.server)))
        (tmp_path / "0/tree/go").touch()
        with pytest.raises(InfrastructureError, match="its supervisor was killed"):
            running.result()


@pytest.mark.parametrize("memory", [200_000, 500_000, 1_000_000])
def test_less_memory_than_a_room_takes_is_no_fault_of_the_machine(memory: int, start: Start) -> None:
    """The kernel ends bubblewrap, or what was about to become it: the program has passed its limit."""
    for _ in range(4):
        ended = start("true", memory)
        assert ended.how is How.OVER_LIMIT or (memory == 1_000_000 and ended.code == 0), ended
        assert ended.over.partition(":")[0] in ("memory", "")


def test_bubblewrap_that_is_refused_a_process_has_passed_a_limit(start: Start) -> None:
    """No pipeline can set so few: it makes no room, and says so."""
    assert start("true", processes=-1).over.startswith("processes: ")
    assert start("true").code == 0


def test_who_takes_all_memory_at_once_is_ended_and_no_supervisor(start: Start) -> None:
    """Many begin at the same time. Files in memory belong to no process, so the kernel ends one that has little."""
    takes = "head -c 30000000 /dev/zero > /dev/shm/big"
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: start(takes, 20_000_000).over, range(24)))
    assert set(found) == {"memory: used more than 20 MB"}


def test_a_group_is_as_new_for_the_next_program(start: Start) -> None:
    """After one that passed a limit, with what it left in memory, and with a limit that is much lower."""
    for takes in ("head -c 90000000 /dev/zero > /dev/shm/big", "head -c 90000000 /dev/zero | tail -c 89000000 > big"):
        for memory, how in ((60_000_000, How.OVER_LIMIT), (200_000_000, How.EXITED)):
            ended = [start(takes, memory).how, *(start("true", 3_000_000).how for _ in range(3))]
            assert ended == [how, *[How.EXITED] * 3]


@pytest.mark.parametrize("who", ["the child", "the supervisor"])
def test_what_waits_may_be_killed(who: str, start: Start) -> None:
    """As by the kernel, where the machine itself has no memory left."""
    for _ in range(3):
        assert start("true").code == 0
        until(lambda: bool(in_groups(start.server)))
        (child,) = in_groups(start.server)
        os.kill(child if who == "the child" else _parent(child), signal.SIGKILL)
        until(lambda: child not in in_groups(start.server))  # noqa: B023


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
    return {int(pid) for path in lists_of(server) for pid in path.read_text().split()}


def lists_of(server: int) -> list[Path]:
    return [path for one in PARENTS for path in Path(one.folder).glob(f"interlock-{server}-[0-9]*/cgroup.procs")]


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
    until(lambda: not any(Path(f"/proc/{server}").exists() for server in servers))  # the first process buries them
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
