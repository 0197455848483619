"""What dies or hangs in the middle of a run on Temporal: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.contract.cli_world import World
from tests.contract.temporal.world import Cluster, Server, cluster_in, dying, history, run_in, until
from tests.nightly import rest_at_night

from interlock.core.events import (
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Delivered,
    HandoffAccepted,
    Refused,
    RunFinished,
    VerdictGiven,
)

SLOW = """\
version: 1
agents:
  slow:
    use: command
    env: [HERE]
    run: [bash, -c, 'echo $$ >> "$HERE/at-work"; until [ -e "$HERE/go" ]; do sleep 0.05; done; echo x > a.txt']
stages:
  code: {agent: slow, gates: [{id: g, run: "test -s a.txt"}]}
"""

JUDGED = """\
version: 1
agents:
  writer: {use: command, run: 'if grep -q tell-42 "$BRIEF"; then echo mended; else echo first; fi >> a.txt'}
stages:
  code: {agent: writer, gates: [{id: mended, run: 'grep -q mended a.txt || { echo "tell-$((6 * 7))"; exit 1; }'}]}
  script: {run: "echo x > b.txt"}
  both: {needs: [code, script], agent: writer, gates: [{id: g, run: "test -s b.txt"}]}
"""
ROLES = {  # who is killed, and where
    "controller": ("accepting", "rejecting", "merging"),
    "worker": ("judging", "packing", "receiving"),
    "follower": ("delivering", "sending", "receiving"),
}
KILLS = [f"{role} {moment} {part}" for moment in ("after", "before") for role, parts in ROLES.items() for part in parts]


def at_work(folder: Path) -> list[int]:
    path = folder / "at-work"
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def slow(tmp_path: Path, server: Server) -> object:
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        yield many, many.submitter(tmp_path / "far", {"interlock.yaml": SLOW}, HERE=str(tmp_path))


def started(far: World, folder: Path) -> subprocess.Popen[str]:
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    until(lambda: len(at_work(folder)) == 1, "no agent began")
    return process


def ended(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return run_in(said)


def test_a_worker_that_is_killed_loses_its_attempt_and_another_takes_the_next(
    tmp_path: Path, slow: tuple[Cluster, World]
) -> None:
    many, far = slow
    process = started(far, tmp_path)
    many.machines[1].kill()
    many.machines[1].communicate()
    until(lambda: not is_alive(at_work(tmp_path)[0]), "the agent outlived its worker")
    many.start("other", HERE=str(tmp_path))
    until(lambda: len(at_work(tmp_path)) == 2, "no other attempt began")
    (tmp_path / "go").touch()
    events = [record.event for record in history(far, ended(process))]
    assert [str(event.attempt) for event in events if isinstance(event, AttemptLost)] == ["code/1.1"]
    assert [str(event.attempt) for event in events if isinstance(event, HandoffAccepted)] == ["code/1.2"]


def test_a_controller_that_is_killed_is_replaced_and_the_attempt_goes_on(
    tmp_path: Path, slow: tuple[Cluster, World]
) -> None:
    many, far = slow
    process = started(far, tmp_path)
    many.machines[0].kill()
    many.machines[0].communicate()
    many.start("other", "--controller", HERE=str(tmp_path))
    (tmp_path / "go").touch()
    events = [record.event for record in history(far, ended(process))]
    assert len([event for event in events if isinstance(event, AttemptStarted)]) == 1
    assert len([event for event in events if isinstance(event, Delivered)]) == 1


def test_a_server_that_is_killed_comes_back_with_all_that_was_recorded(
    tmp_path: Path, slow: tuple[Cluster, World]
) -> None:
    many, far = slow
    process = started(far, tmp_path)
    many.server.kill()
    many.server.start()
    (tmp_path / "go").touch()
    events = [record.event for record in history(far, ended(process))]
    assert len([event for event in events if isinstance(event, HandoffAccepted)]) == 1


def test_who_follows_may_be_killed_and_resume_delivers(tmp_path: Path, slow: tuple[Cluster, World]) -> None:
    _, far = slow
    process = started(far, tmp_path)
    process.kill()
    process.communicate()
    (tmp_path / "go").touch()
    said = far.ask("resume", "--plain").ended(0, "accepted")
    assert "interlock/" in far.git("branch", "--list", "interlock/*"), said.text


def test_a_cancelled_run_ends_its_agent(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": SLOW.replace("$HERE", str(tmp_path))})
    process = started(far, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    far.ask("cancel", "--plain")
    until(lambda: not is_alive(at_work(tmp_path)[0]), "the agent outlived its run")
    assert far.show()["phase"] == "cancelled"


RUN = ("run", "--engine", "temporal", "--plain", "-t", "x")


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory: pytest.TempPathFactory, many: Cluster) -> list[str]:
    far = many.submitter(tmp_path_factory.mktemp("unharmed") / "far", {"interlock.yaml": JUDGED})
    return outcome(far, ended(far.start(*RUN)))


@pytest.mark.parametrize("kill", rest_at_night(KILLS))
def test_whoever_is_killed_anywhere_is_replaced_and_nothing_is_done_twice(
    tmp_path: Path, server: Server, unharmed: list[str], kill: str
) -> None:
    role, moment, part = kill.split()
    with cluster_in(tmp_path / "many", server, without=role) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": JUDGED})
        if role == "follower":
            victim = dying(far, moment, part, *RUN)
            victim.communicate(timeout=300)
            far.ask("resume", "--plain").ended(0, "accepted")
            run = far.show()["id"]
        else:
            words = ("--controller",) if role == "controller" else ()
            victim = dying(many.machine(role), moment, part, "worker", *words)
            process = far.start(*RUN)
            victim.communicate(timeout=300)
            many.start(f"another {role}", *words)
            run = ended(process)
        assert victim.returncode == -signal.SIGKILL
        assert outcome(far, run) == unharmed


def test_a_defect_in_an_attempt_pauses_it_and_says_so(tmp_path: Path, server: Server) -> None:
    with cluster_in(tmp_path / "many", server, without="worker") as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": JUDGED})
        faulty = many.ready(dying(many.machine("worker"), "defect", "packing", "worker"))
        far.ask(*RUN).ended(3, "a defect of Interlock on its worker: KeyError: 'planted'")
        assert far.show()["spent"]["attempts"] <= 2  # one of each stage
        faulty.kill()
        faulty.communicate()
        many.start("other")
        far.ask("resume", "--plain").ended(0, "accepted")


def outcome(far: World, run: str) -> list[str]:
    """What a run came to, without the numbers of attempts, which a death may change. Nothing is told twice."""
    events = [record.event for record in history(far, run)]
    verdicts = [(str(event.subject), event.gate, event.number) for event in events if isinstance(event, VerdictGiven)]
    assert len(verdicts) == len(set(verdicts))
    made = [str(event.attempt) for event in events if isinstance(event, CandidateProduced)]
    lost = [str(event.attempt) for event in events if isinstance(event, AttemptLost)]
    assert len({*made, *lost}) == len(made) + len(lost)
    assert not [event for event in events if isinstance(event, Refused)]
    judged = [event for event in events if isinstance(event, HandoffAccepted | CandidateRejected)]
    branches = far.git("for-each-ref", "--format=%(tree)", "refs/heads/interlock/")
    delivered = [event for event in events if isinstance(event, Delivered | RunFinished)]
    return [
        *sorted(f"{type(event).__name__} {event.attempt.stage} {event.tree}" for event in judged),
        *(type(event).__name__ for event in delivered),
        branches,
    ]
