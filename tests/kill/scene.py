"""A run with a join, a loop back, a person and a delivery; what it comes to unharmed; and what must hold after a death.

Rule: a scene is played in one place again and again, put back from a copy, so that nothing of one death is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contract.bad_input_world import alive, changed, fingerprint
from tests.contract.cli_world import World, new_world
from tests.simulation.digests import digests_of

from interlock.core.admission import admit
from interlock.core.events import Recorded, Refused
from interlock.core.fold import apply
from interlock.core.state import RunState
from interlock.journal import FileBlobs, SqliteJournal

PROJECT = Path(__file__).resolve().parents[2]
RESUMES_MAX = 6
PIPELINE = """\
version: 1
name: scene
agents:
  left:
    use: command
    run: |
      echo "$INTERLOCK_ATTEMPT" | cut -d. -f1 > left.txt
      { echo left; seq 9; echo last; } > shared.txt
  right:
    use: command
    run: |
      echo right > right.txt
      { echo first; seq 9; echo right; } > shared.txt
stages:
  left:
    agent: left
    gates:
      - id: there
        run: test -s left.txt || test -s start.txt
  right:
    agent: right
  both:
    needs: [left, right]
    run: cat left.txt right.txt > both.txt
    gates:
      - id: second
        run: '! test -e both.txt || grep -q "left/2" both.txt'
    on_reject:
      - {gate: second, goto: left, max: 1}
  ship:
    needs: [both]
    gates:
      - id: merge
        approve: Ship it?
    on_reject:
      - pause: true
"""


SHARED = "\n".join(["first", *"123456789", "last", ""])  # both stages change it, so that git merges contents


@dataclass(frozen=True)
class Outcome:
    """What a run comes to, without what a death may change: names, times, numbers of lost attempts."""

    phase: str
    stages: tuple[tuple[str, str, int, str], ...]  # id, phase, epoch, accepted tree
    delivered: str  # tree
    charged: int


@dataclass
class Scene:
    """`begun` is the world before the run, `waiting` the one in which it waits for its person, `over` the one after
    it."""

    root: Path
    world: World = field(init=False)
    unharmed: Outcome = field(init=False)
    before: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.world = new_world(
            self.root / "world", {"interlock.yaml": PIPELINE, "start.txt": "start\n", "shared.txt": SHARED}
        )
        self.world.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), str(PROJECT / "src")])
        self.before = fingerprint(self.world.repository)
        self._keep("begun")
        assert self.world.ask("run", "-t", "both").code == 3
        self._keep("waiting")
        self.end()
        self._keep("over")
        self.unharmed = self.outcome()
        assert self.unharmed.phase == "accepted"

    def put_back(self, name: str) -> None:
        shutil.rmtree(self.world.root)
        shutil.copytree(self.root / name, self.world.root, symlinks=True)
        self.before = fingerprint(self.world.repository)

    def die(self, at: int, *words: str, trace: str = "") -> int:
        """Run the program until its write number `at`. Returns how it ended."""
        environ = self.world.environment(**({"KILL_TRACE": trace} if trace else {}))
        argv = [sys.executable, "-m", "tests.kill.victim", str(at), *words]
        done = subprocess.run(
            argv, cwd=self.world.repository, env=environ, capture_output=True, check=False, timeout=120
        )
        return done.returncode

    def end(self) -> None:
        """Go on as a person would: resume what is not over, say yes where it waits."""
        for _ in range(RESUMES_MAX):
            runs = self.world.ask("list", "--json").json()["runs"]
            if not runs:
                self.world.ask("run", "-t", "both")
            elif runs[0]["phase"] == "waiting":
                self.world.ask("approve" if runs[0]["waits"][0]["reason"] == "approval" else "resume")
            elif runs[0]["phase"] == "interrupted":
                self.world.ask("resume")
            else:
                return
        raise AssertionError(f"no end: {self.world.ask('status').text}")

    def outcome(self) -> Outcome:
        view = self.world.show()
        branch = view["branch"]
        stages = tuple((stage["id"], stage["phase"], stage["epoch"], self._tree(stage)) for stage in view["stages"])
        delivered = self.world.git("rev-parse", f"{branch}^{{tree}}") if branch else ""
        return Outcome(view["phase"], stages, delivered, view["spent"]["attempts"])

    def hold(self) -> None:
        """What must be true after any death, once the run has ended."""
        assert self.outcome() == self.unharmed
        differing = changed(self.before, fingerprint(self.world.repository))
        assert not differing, differing
        left = alive(self.root)
        assert not left, left
        for blobs, history in self._histories():
            fold_strictly(history)
            for digest in (digest for record in history for digest in digests_of(record.event)):
                blobs.get(digest)
        self.world.ask("verify").ended(0, "is verified")

    def history(self) -> list[list[Recorded]]:
        """Of every run."""
        return [history for _, history in self._histories()]

    def _tree(self, stage: dict[str, Any]) -> str:
        accepted = [attempt["tree"] for attempt in stage["attempts"] if attempt["commit"] == stage["commit"]]
        return accepted[-1] if accepted else stage["commit"]

    def _histories(self) -> Iterator[tuple[FileBlobs, list[Recorded]]]:
        for path in self.world.root.glob("state/interlock/*/journal.db"):
            with SqliteJournal(path) as journal:
                blobs = FileBlobs(path.with_name("blobs"))
                yield from [(blobs, journal.records(run)) for run in journal.runs()]

    def _keep(self, name: str) -> None:
        shutil.copytree(self.world.root, self.root / name, symlinks=True)


def fold_strictly(history: list[Recorded]) -> RunState:
    """The state, each event having been fit to follow those before it."""
    state = RunState()
    for record in history:
        assert record.seq == state.seq + 1
        why = "" if isinstance(record.event, Refused) or record.seq == 1 else admit(state, record.event)
        assert not why, f"{record.seq} {record.event}: {why}"
        state = apply(state, record)
    return state


def was_killed(code: int) -> bool:
    return code == -signal.SIGKILL
