"""A served repository with a run in each state, made by real runs with scripted agents."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw
from tests.contract.cli_world import LIMIT_S, World, new_world
from tests.contract.web.world import Served, served

_UNGUARDED = "DROP TRIGGER IF EXISTS event_is_never_changed; DROP TRIGGER IF EXISTS event_is_never_removed;"
_AGENT = """\
if grep -q rejected "$BRIEF"; then word=right; else word=wrong; fi
case "$1" in
  never) word=wrong;;
  slow) touch "$OWN_MARK"; sleep 60;;
esac
echo "$word" > app.txt; echo "one more line" >> notes.txt; rm -f old.txt
"""
_JUDGE = """\
where='{"physicalLocation": {"artifactLocation": {"uri": "app.txt"}, "region": {"startLine": 1}}}'
what='{"ruleId": "word", "level": "error", "message": {"text": "it is wrong"}, "locations": ['$where']}'
if grep -q right app.txt; then what=; fi
echo '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "judge"}}, "results": ['$what']}]}' > "$REPORT"
test -z "$what"
"""
_PIPELINE = """\
version: 1
name: {name}
{limits}
agents:
  coder: {{use: command, run: [bash, agent, "{own}"], env: [OWN_MARK]}}
stages:
  code:
    agent: coder
    attempts: 2
    gates:
      - {{id: right, run: bash judge, report: sarif}}
      - {{id: there, run: "test -s notes.txt || {{ echo 'notes.txt: there are no notes'; false; }}"{base}}}
  ship:
    needs: [code]
    gates:
      - {{id: merge, approve: "Merge this?"}}
    on_reject: [{{pause: true}}]
"""
_PIPELINES = {
    "approve": {},
    "never": {"own": "never"},
    "limit": {"limits": "limits: {attempts: 1}"},
    "green": {"base": ", base: green"},
    "slow": {"own": "slow"},
}


@dataclass
class States:
    """Runs by their state, in a repository that is served. Each is made when it is first asked for."""

    world: World
    site: Served
    open: ExitStack
    runs: dict[str, str] = field(default_factory=dict)

    def run(self, name: str) -> str:
        """The run in the state `name`, or `name` itself if no state has that name."""
        if name in _MADE and name not in self.runs:
            self.runs[name] = _MADE[name](self)
        return self.runs.get(name, name)


def pipelines() -> dict[str, str]:
    """File names and texts."""
    empty = {"own": "", "limits": "", "base": ""}
    return {f"{name}.yaml": _PIPELINE.format(name=name, **{**empty, **changes}) for name, changes in _PIPELINES.items()}


def repository(root: Path) -> World:
    files: Mapping[str, str] = {"agent": _AGENT, "judge": _JUDGE, "old.txt": "old\n", "app.txt": "right before\n"}
    return new_world(root, {**pipelines(), **files}, OWN_MARK=str(root / "mark"))


@contextmanager
def all_states(root: Path) -> Iterator[States]:
    """waiting, accepted, cancelled, rejected, limit, stopped, interrupted, running, damaged."""
    world = repository(root)
    with served(world) as site, ExitStack() as left_open:
        yield States(world, site, left_open)


def started(world: World, pipeline: str, task: str = "Make the app right.") -> str:
    said = world.ask("run", "-p", f"{pipeline}.yaml", "-t", task, "--plain")
    assert said.code in (0, 3, 5), said.text
    return newest(world)


def newest(world: World) -> str:
    return str(world.ask("list", "--json").json()["runs"][0]["id"])


@contextmanager
def at_work(world: World) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A run whose agent works until this ends, and the process that drives it."""
    mark = world.root / "mark"
    mark.unlink(missing_ok=True)
    process = world.start("run", "-p", "slow.yaml", "-t", "Take your time.", "--plain")
    try:
        end = time.monotonic() + LIMIT_S
        while not mark.exists():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        yield newest(world), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def damage(world: World, run: str) -> None:
    path = next((world.root / "state").rglob("journal.db"))
    connection = apsw.Connection(str(path))
    of = f"run = (SELECT number FROM run WHERE id = '{run}')"
    connection.execute(f"{_UNGUARDED} UPDATE event SET at = 0 WHERE seq = 5 AND {of}")
    connection.close()


def _accepted(states: States) -> str:
    run = started(states.world, "approve")
    states.world.ask("approve", run, "-m", "good", "--plain").ended(0)
    return run


def _cancelled(states: States) -> str:
    run = started(states.world, "approve")
    states.world.ask("cancel", run, "--plain").ended(0)
    return run


def _damaged(states: States) -> str:
    run = started(states.world, "approve")
    damage(states.world, run)
    return run


def _interrupted(states: States) -> str:
    with at_work(states.world) as (run, process):
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return run


def _running(states: States) -> str:
    return states.open.enter_context(at_work(states.world))[0]


_MADE: dict[str, Callable[[States], str]] = {
    "waiting": lambda states: started(states.world, "approve"),
    "accepted": _accepted,
    "cancelled": _cancelled,
    "rejected": lambda states: started(states.world, "never"),
    "limit": lambda states: started(states.world, "limit"),
    "stopped": lambda states: started(states.world, "green"),
    "interrupted": _interrupted,
    "running": _running,
    "damaged": _damaged,
}
