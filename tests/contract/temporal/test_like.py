"""Workers that differ: in the versions of their tools, and in what their owner lets them spend."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.contract.cli_world import World
from tests.contract.temporal.world import Cluster, Server, cluster_in, history, run_in, run_on, until
from tests.contract.test_gates_tools import SUITE
from tests.contract.web.world import served

from interlock.core.events import CandidateProduced, VerdictGiven, VerdictStatus
from interlock.mcp.documents import attempt_document

# The first attempt begins on the first worker, which has judged the base and is killed then.
TESTED = """\
version: 1
agents:
  slow:
    use: command
    env: [HERE]
    run: [bash, -c, 'echo $$ >> "$HERE/at-work"; until [ -e "$HERE/go" ]; do sleep 0.05; done; cat "$HERE/go" > tests']
stages:
  code:
    agent: slow
    attempts: 1
    gates: [{id: g, run: suite, report: junit, canary: false, baseline: no_worse}]
"""


def machine(many: Cluster, name: str, fails: str, here: Path) -> None:
    """A worker with its own version of `suite`, in which the tests `fails` fail."""
    folder = here / f"{name}-programs"
    folder.mkdir()
    (folder / "suite").write_text(SUITE.replace("FAILS", fails))
    (folder / "suite").chmod(0o755)
    many.start(name, HERE=str(here), PATH=f"{folder}:{os.environ['PATH']}")


@pytest.fixture
def controlled(tmp_path: Path, server: Server) -> object:
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        first = many.machines.pop()  # only the controller is needed
        first.kill()
        first.communicate()
        yield many


@pytest.mark.parametrize(
    ("first", "second", "made", "status"),
    [
        ("b", "none", "a passed\nb failed\n", VerdictStatus.FAILED),  # no false pass: b fails on the base there alone
        (
            "none",
            "b",
            "a passed\nb passed\nc passed\n",
            VerdictStatus.PASSED,
        ),  # not blamed: b fails on the base here as well
    ],
)
def test_a_candidate_is_judged_as_its_worker_judges_the_base(
    tmp_path: Path, controlled: Cluster, first: str, second: str, made: str, status: VerdictStatus
) -> None:
    machine(controlled, "first", first, tmp_path)
    far = controlled.submitter(tmp_path / "far", {"interlock.yaml": TESTED, "tests": "a passed\nb passed\n"})
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    until((tmp_path / "at-work").exists, "no agent began")
    controlled.machines[-1].kill()
    controlled.machines[-1].communicate()
    machine(controlled, "second", second, tmp_path)
    (tmp_path / "go").write_text(made)
    _, err = process.communicate(timeout=300)
    assert process.returncode == (0 if status is VerdictStatus.PASSED else 3), err
    events = [record.event for record in history(far, run_in(err))]
    on_base, on_candidate = [event for event in events if isinstance(event, VerdictGiven) and event.gate == "code/g"]
    assert on_candidate.status is status
    assert on_base.tools != on_candidate.tools
    [candidate] = [event for event in events if isinstance(event, CandidateProduced)]
    assert on_base.worker != on_candidate.worker == candidate.worker
    assert candidate.worker.endswith(f"@{os.uname().nodename}")
    assert candidate.sandbox == far.environment()["INTERLOCK_SANDBOX"]
    told_everywhere(far, candidate)


def told_everywhere(far: World, candidate: CandidateProduced) -> None:
    """Who made it: on the terminal, on the page and over MCP."""
    assert f" on {candidate.worker}" in far.ask("show", "--full").ended(0).text
    run, subject = far.show()["id"], str(candidate.attempt)
    attempt = far.ask("show", run, subject, "--json").json()["attempt"]
    assert attempt_document(run, [attempt], full=False, gate="", offset=0)["worker"] == candidate.worker
    with served(far) as page, page.client() as client:
        assert f" on {candidate.worker}, began" in client.get(f"/runs/{run}/attempts/{subject}").text


PAID = """\
version: 1
agents:
  writer:
    use: scripted
    script:
      stages:
        code: {right: [{write: {app.txt: right}}], usage: {tokens_in: 1000, tokens_out: 0, cost_usd: 0.1}}
stages:
  code: {agent: writer, gates: [{id: g, run: "test -s app.txt"}]}
"""


def test_a_daily_cap_is_held_by_the_worker_whose_settings_have_it(tmp_path: Path, controlled: Cluster) -> None:
    capped = World(tmp_path / "capped", tmp_path / "capped")
    capped.root.mkdir()
    controlled.settle(capped)
    file = Path(capped.environment()["XDG_CONFIG_HOME"]) / "interlock" / "settings.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "daily_tokens": 500}))
    controlled.machines.append(capped.start("worker"))
    far = controlled.submitter(tmp_path / "far", {"interlock.yaml": PAID})
    run_on(far)  # it is looked at before an attempt
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    assert process.stderr is not None
    line = next(line for line in process.stderr if "daily_tokens" in line or not line)
    process.terminate()
    process.communicate()
    assert "of 500 used today" in line


def test_a_daily_cap_of_who_starts_a_run_would_hold_nothing(tmp_path: Path, controlled: Cluster) -> None:
    far = controlled.submitter(tmp_path / "far", {"interlock.yaml": PAID})
    file = Path(far.environment()["XDG_CONFIG_HOME"]) / "interlock" / "settings.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "daily_cost_usd": 5}))
    said = far.ask("run", "--engine", "temporal", "-t", "x")
    assert said.code == 2
    assert "error: daily_cost_usd in your settings counts what agents use on this machine" in said.err
    assert "in the settings of the workers" in said.err
