"""The same pipelines on the local engine and on Temporal: the same histories, up to order, time and owner."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import new_world
from tests.contract.temporal.world import Cluster, history, run_in, run_on, told

from interlock.core.events import AnswerTaken

HEAD = """\
version: 1
agents:
  writer: {use: command, run: [bash, -c, 'echo "$INTERLOCK_ATTEMPT" >> a.txt']}
  idle: {use: command, run: "true"}
"""
PIPELINES = {
    "accepted": """\
stages:
  code: {agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
""",
    "rejected with feedback": """\
stages:
  code: {agent: writer, attempts: 3, gates: [{id: second, run: "grep -q 1.2 a.txt"}]}
""",
    "sent back": """\
stages:
  plan: {agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
  code:
    needs: [plan]
    agent: writer
    attempts: 1
    gates: [{id: twice, run: "test $(grep -c 2.1 a.txt) -ge 1"}]
    on_reject: [{goto: plan, max: 1}]
""",
    "joined": """\
stages:
  one: {agent: writer, writes: [a.txt], gates: [{id: g, run: "test -s a.txt"}]}
  two: {run: "echo two > b.txt", writes: [b.txt]}
  both: {needs: [one, two], agent: writer, gates: [{id: g, run: "test -s a.txt && test -s b.txt"}]}
""",
    "errored": """\
stages:
  code: {agent: writer, gates: [{id: g, run: [no-such-program]}]}
""",
    "exhausted": """\
stages:
  code: {agent: idle, attempts: 2, gates: [{id: g, run: "false"}]}
""",
}

ASKS = """\
stages:
  code: {agent: writer, gates: [{id: ok, approve: "Is it good?"}]}
"""


@pytest.mark.parametrize("name", PIPELINES)
def test_the_histories_are_the_same(tmp_path: Path, many: Cluster, name: str) -> None:
    files = {"interlock.yaml": HEAD + PIPELINES[name]}
    local = new_world(tmp_path / "local", files)
    far = many.submitter(tmp_path / "far", files)
    there = local.ask("run", "--plain", "-t", "x")
    here = far.ask("run", "--engine", "temporal", "--plain", "-t", "x")
    assert here.code == there.code, here.text
    assert told(history(far, run_in(here.err))) == told(history(local, run_in(there.err)))


def test_a_person_decides(tmp_path: Path, many: Cluster) -> None:
    """An approval that is asked for, a rejection with a comment, and a cancelled run."""
    files = {"interlock.yaml": HEAD + ASKS}
    far = many.submitter(tmp_path / "far", files)
    run = run_on(far, code=3)
    far.ask("reject", run, "-m", "once more", "--plain").ended(3)
    far.ask("approve", run, "--plain").ended(0, "accepted")
    assert [record.event.comment for record in history(far, run) if isinstance(record.event, AnswerTaken)] == [
        "once more",
        "",
    ]
    other = run_on(far, code=3)
    far.ask("cancel", other)
    assert far.show(other)["phase"] == "cancelled"
