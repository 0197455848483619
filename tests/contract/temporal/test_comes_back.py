"""A worker is stopped, or cut off from the network, for longer than its heartbeat may be late: its attempt is lost,
another worker takes the next one, and when it comes back nothing of it counts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.cli_world import World
from tests.contract.temporal.test_kills import SLOW, at_work, ended, is_alive, started
from tests.contract.temporal.world import Cluster, Server, cluster_in, history, launched, run_on, server_in, until

from interlock.core.events import AttemptLost, CandidateProduced, Delivered, HandoffAccepted, Refused


@pytest.mark.parametrize("late", [False, True], ids=["while the next attempt works", "after the run"])
def test_a_worker_that_is_stopped_and_continued(tmp_path: Path, server: Server, late: bool) -> None:
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        worker = many.machines[1]
        holds(tmp_path, many, worker, lambda: worker.send_signal(signal.SIGSTOP),
              lambda: worker.send_signal(signal.SIGCONT), late=late)  # fmt: skip


@pytest.mark.parametrize("late", [False, True], ids=["while the next attempt works", "after the run"])
def test_a_worker_that_is_cut_off_and_comes_back(tmp_path: Path, late: bool) -> None:
    """It lives in a network namespace of its own."""
    (tmp_path / "temporal").mkdir()
    with apart() as space, server_in(tmp_path / "temporal", listens="0.0.0.0") as server:
        many = Cluster(tmp_path / "many", server, "apart")
        try:
            many.start("controller", "--controller", HERE=str(tmp_path))
            machine = many.machine("worker", HERE=str(tmp_path))
            many.settle(machine, host=space.host)
            argv = ["ip", "netns", "exec", space.name, sys.executable, "-m", "interlock", "worker"]
            worker = many.ready(launched(machine, argv))
            holds(tmp_path, many, worker, lambda: space.link("down"), lambda: space.link("up"), late=late)
        finally:
            many.close()


def holds(
    tmp_path: Path, many: Cluster, worker: subprocess.Popen[str], away: Callable[[], None], back: Callable[[], None],
    *, late: bool,
) -> None:  # fmt: skip
    far = many.submitter(tmp_path / "far", {"interlock.yaml": SLOW}, HERE=str(tmp_path))
    process = started(far, tmp_path)
    away()
    other = many.start("other", HERE=str(tmp_path))
    until(lambda: len(at_work(tmp_path)) == 2, "no other attempt began")
    if not late:
        back()
        until(lambda: not is_alive(at_work(tmp_path)[0]), "the agent of the lost attempt works on")
        assert is_alive(at_work(tmp_path)[1])
    (tmp_path / "go").touch()
    run = ended(process)
    if late:
        back()
    until(lambda: not many.places("worker"), "the place of the lost attempt stays")
    nothing_of_it_counts(far, run)
    other.kill()
    other.communicate()
    again = run_on(far)  # by the one that came back
    assert worker.poll() is None
    assert [str(item) for item in accepted(far, again)] == ["code/1.1"]
    nothing_of_it_counts(far, run)


def nothing_of_it_counts(far: World, run: str) -> None:
    """The server may give it more attempts while it is away, which are lost in the same way."""
    events = [record.event for record in history(far, run)]
    lost = [event.attempt for event in events if isinstance(event, AttemptLost)]
    assert str(lost[0]) == "code/1.1"
    (made,) = [event.attempt for event in events if isinstance(event, CandidateProduced)]
    assert accepted(far, run) == [made]
    assert made not in lost
    assert len([event for event in events if isinstance(event, Delivered)]) == 1
    assert not [event for event in events if isinstance(event, Refused)]


def accepted(far: World, run: str) -> list[object]:
    return [record.event.attempt for record in history(far, run) if isinstance(record.event, HandoffAccepted)]


class Space:
    """A network namespace, and the address of this machine as it is seen there."""

    def __init__(self, number: int) -> None:
        self.name, self.outer, self._inner = f"il{number}", f"ilo{number}", f"ili{number}"
        self.host = f"10.213.{number % 250}.1"

    def make(self) -> None:
        inside = ("ip", "-n", self.name)
        net = self.host.rpartition(".")[0]
        _call("ip", "netns", "add", self.name)
        _call("ip", "link", "add", self.outer, "type", "veth", "peer", "name", self._inner, "netns", self.name)
        _call("ip", "address", "add", f"{self.host}/24", "dev", self.outer)
        _call(*inside, "address", "add", f"{net}.2/24", "dev", self._inner)
        _call(*inside, "link", "set", "lo", "up")
        _call(*inside, "link", "set", self._inner, "up")
        self.link("up")

    def link(self, state: str) -> None:
        _call("ip", "link", "set", self.outer, state)

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self.outer], check=False, capture_output=True)


@contextmanager
def apart() -> Iterator[Space]:
    """Skips the test where no network namespace can be made."""
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root can make a network namespace, with `ip`")
    space = Space(os.getpid() % 10_000)
    try:
        space.make()
    except subprocess.CalledProcessError as error:
        space.remove()
        pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
    try:
        yield space
    finally:
        space.remove()


def _call(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
