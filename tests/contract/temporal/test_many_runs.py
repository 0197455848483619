"""Many runs of four stages on three workers and two controllers, of which one is killed every few seconds: every run is
accepted, and nothing is left of any."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.contract.bad_input_world import alive
from tests.contract.cli_world import World
from tests.contract.temporal.world import Cluster, Server, history, run_in
from tests.nightly import rest_at_night

from interlock.core.events import AttemptErrored, AttemptLost, AttemptStarted, CandidateProduced, HandoffAccepted

FOUR = """\
version: 1
agents:
  writer: {use: command, run: 'sleep 0.3; echo "$TASK" >> "$(dirname "$INTERLOCK_ATTEMPT").txt"'}
stages:
  plan: {agent: writer, gates: [{id: g, run: "test -s plan.txt"}]}
  code: {needs: [plan], agent: writer, gates: [{id: g, run: "sleep 0.3; test -s code.txt"}]}
  docs: {needs: [plan], agent: writer, gates: [{id: g, run: "test -s docs.txt"}]}
  both: {needs: [code, docs], agent: writer, gates: [{id: g, run: "cat plan.txt code.txt docs.txt both.txt"}]}
"""
MACHINES = {"one": (), "two": (), "three": (), "controller": ("--controller",), "deputy": ("--controller",)}
AT_ONCE = 6
EVERY_S = (1.0, 6.0)


@pytest.mark.parametrize("count", rest_at_night([6, 200]))
def test_all_runs_are_accepted_and_nothing_is_left(
    tmp_path: Path, server: Server, count: int, record_property: Callable[[str, object], None]
) -> None:
    many = Cluster(tmp_path / "many", server, f"killed{count}")
    far = many.submitter(tmp_path / "far", {"interlock.yaml": FOUR})
    over = threading.Event()
    try:
        killer = Killer(many, random.Random(count), over)
        thread = threading.Thread(target=killer.work)
        thread.start()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(pool.map(lambda number: accepted(far, f"number {number}"), range(count)))
        over.set()
        thread.join()
        record_property("kills", killer.killed)
        assert killer.killed
        for run in runs:
            complete(far, run)
        assert len(far.git("branch", "--list", "interlock/*").splitlines()) == count
        assert asyncio.run(open_runs(server, many.queue)) == 0
        killer.restart_all()
        assert {name: many.places(name) for name in MACHINES} == {name: [] for name in MACHINES}
    finally:
        over.set()
        many.close()
    assert not alive(tmp_path)


class Killer:
    """Starts all machines, and kills one after the other; what is killed starts again."""

    def __init__(self, many: Cluster, chosen: random.Random, over: threading.Event) -> None:
        self._many, self._random, self._over = many, chosen, over
        self._at_work = {name: many.start(name, *words) for name, words in MACHINES.items()}
        self.killed = 0

    def work(self) -> None:
        while not self._over.wait(self._random.uniform(*EVERY_S)):
            self._restart(self._random.choice(list(MACHINES)))
            self.killed += 1

    def restart_all(self) -> None:
        for name in MACHINES:
            self._restart(name)

    def _restart(self, name: str) -> None:
        self._at_work[name].kill()
        self._at_work[name].communicate()
        self._at_work[name] = self._many.start(name, *MACHINES[name])


def accepted(far: World, task: str) -> str:
    said = far.ask("run", "--engine", "temporal", "--plain", "-t", task)
    assert said.code == 0, said.text
    return run_in(said.err)


def complete(far: World, run: str) -> None:
    """Each stage was accepted once, and each claim came to an end, once."""
    events = [record.event for record in history(far, run)]
    stages = sorted(event.attempt.stage for event in events if isinstance(event, HandoffAccepted))
    assert stages == ["both", "code", "docs", "plan"]
    claimed = [str(event.attempt) for event in events if isinstance(event, AttemptStarted)]
    ends = [event for event in events if isinstance(event, CandidateProduced | AttemptLost | AttemptErrored)]
    assert sorted(claimed) == sorted(str(event.attempt) for event in ends)


async def open_runs(server: Server, queue: str) -> int:
    from temporalio.client import Client

    client = await Client.connect(f"127.0.0.1:{server.port}")
    found = await client.count_workflows(
        f"TaskQueue STARTS_WITH '{queue}.' AND WorkflowType = 'interlock-run' AND ExecutionStatus = 'Running'"
    )
    return found.count
