"""The same pipelines on the local engine and on Temporal: the same histories, up to order, time and owner; a person is
told the same. So it is where runs begin anew after all that they do."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.temporal.scenarios import SCENARIOS, Scenario
from tests.contract.temporal.world import (
    Cluster,
    Server,
    cluster_in,
    history,
    journal_of,
    other_build,
    run_in,
    run_on,
    server_histories,
    told,
    until,
)

from interlock.core.events import Action, AnswerTaken, AttemptStarted, Delivered, RunFinished
from interlock.core.inbox import Answer

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory

Locally = Callable[[str], "Played"]
BEGUN = ("ACTIVITY_TASK_SCHEDULED", "START_CHILD_WORKFLOW_EXECUTION_INITIATED")
ENDED = (
    *(f"ACTIVITY_TASK_{word}" for word in ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED")),
    *(f"CHILD_WORKFLOW_EXECUTION_{word}" for word in ("COMPLETED", "CANCELED")),
)
ASKS = Scenario(
    """\
stages:
  code: {agent: writer, gates: [{id: ok, approve: "Is it good?"}]}
"""
)
KEEPS = "def keep_history(blobs: NamedBlobs, run: str, text: str) -> str:\n"
TAKEN = ("WORKFLOW_EXECUTION_UPDATE_ACCEPTED",)
SLOWLY = f"""\
{KEEPS}    import os, pathlib, time
    here = pathlib.Path(os.environ["HERE"])
    while (here / "wait").exists():
        (here / "keeping").touch()
        time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("here")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, server: Server, here: Path) -> Iterator[Cluster]:
    with cluster_in(tmp_path_factory.mktemp("many"), server, HERE=str(here)) as found:
        yield found


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Interlock with which a run begins anew after each effect and the search for its place."""
    folder = tmp_path_factory.mktemp("restless")
    other_build(folder, "engines/temporal/flow.py", "_LONG = 4_000", "_LONG = 13")
    return folder


@pytest.fixture(scope="module")
def anew(tmp_path_factory: pytest.TempPathFactory, server: Server, restless: Path) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("anew")
    with cluster_in(folder, server, PYTHONPATH=str(restless), HERE=str(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Cluster]:
    """Controllers replay the whole history each time that anything comes of it, as another one does after a loss."""
    folder = tmp_path_factory.mktemp("forgetful")
    runner = "        workflow_runner=runner(),\n"
    path = other_build(
        folder / "other", "engines/temporal/worker.py", runner, f"{runner}        max_cached_workflows=0,\n"
    )
    with cluster_in(folder / "many", server, PYTHONPATH=path, HERE=str(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def locally(tmp_path_factory: pytest.TempPathFactory) -> Locally:
    """What the local engine makes of a scenario, played once."""
    known: dict[str, Played] = {}

    def play(name: str) -> Played:
        if name not in known:
            folder = tmp_path_factory.mktemp("local")
            files = {"interlock.yaml": SCENARIOS[name].pipeline}
            known[name] = played(new_world(folder, files, HERE=str(folder)), SCENARIOS[name], name)
        return known[name]

    return play


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_histories_are_the_same(tmp_path: Path, many: Cluster, here: Path, name: str, locally: Locally) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": SCENARIOS[name].pipeline}, HERE=str(here))
    same(played(far, SCENARIOS[name], name, "--engine", "temporal"), locally(name))


@pytest.mark.parametrize("name", SCENARIOS)
def test_they_are_the_same_where_runs_begin_anew(tmp_path: Path, anew: Cluster, name: str, locally: Locally) -> None:
    """Between all that is done, and never while anything is in flight."""
    far = anew.submitter(tmp_path / "far", {"interlock.yaml": SCENARIOS[name].pipeline}, HERE=str(anew.root))
    where = played(far, SCENARIOS[name], name, "--engine", "temporal")
    same(where, locally(name))
    parts = server_histories(anew.server, where.run)
    assert len(parts) > 1
    for part in parts:
        begun, ended = (counted(part, words) for words in (BEGUN, ENDED))
        assert begun == ended, "something was in flight"


@pytest.mark.parametrize("name", SCENARIOS)
def test_they_are_the_same_where_controllers_remember_nothing(
    tmp_path: Path, forgetful: Cluster, name: str, locally: Locally
) -> None:
    here = str(forgetful.root.parent)
    far = forgetful.submitter(tmp_path / "far", {"interlock.yaml": SCENARIOS[name].pipeline}, HERE=here)
    same(played(far, SCENARIOS[name], name, "--engine", "temporal"), locally(name))


def test_an_answer_that_comes_while_a_run_begins_anew_is_taken(tmp_path: Path, server: Server, restless: Path) -> None:
    """It is kept, in order to begin anew, once the first answer has rejected an attempt, and until the second has come:
    there is no other attempt."""
    slow = other_build(tmp_path / "slow", "engines/temporal/histories.py", KEEPS, SLOWLY, of=restless)
    with cluster_in(tmp_path / "many", server, PYTHONPATH=slow, HERE=str(tmp_path)) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": ASKS.pipeline})
        run = run_on(far, code=3)
        (tmp_path / "wait").touch()
        rejecting = far.start("reject", run, "code/1.1", "-m", "why", "--plain")  # and follows the run to its end
        until((tmp_path / "keeping").exists, "it does not begin anew")
        cancelling = far.start("cancel", run, "-m", "why", "--plain")
        until(lambda: counted(server_histories(many.server, run)[-1], TAKEN) >= 2, "the second answer does not come")
        (tmp_path / "wait").unlink()
        assert ended(rejecting) == 1
        assert ended(cancelling) in (0, 5)  # 5 if it waits no longer: its answer is on its way
        events = [record.event for record in history(far, run)]
        answers = [event.action for event in events if isinstance(event, AnswerTaken)]
        assert answers == [Action.REJECT, Action.CANCEL]
        assert [event.attempt.number for event in events if isinstance(event, AttemptStarted)] == [1]
        assert isinstance(events[-1], RunFinished)


def counted(part: WorkflowHistory, kinds: Sequence[str]) -> int:
    """Events of these kinds."""
    from temporalio.api.enums.v1 import EventType

    numbers = [EventType.Value(f"EVENT_TYPE_{kind}") for kind in kinds]
    return sum(event.event_type in numbers for event in part.events)


def same(one: Played, other: Played) -> None:
    assert one.said == other.said
    assert told(one.records) == told(other.records)
    assert one.delivered == other.delivered


class Played:
    """What came of a scenario: exit codes and messages, the history, and the trees of its branch, oldest first."""

    def __init__(self, world: World, run: str, said: list[str]) -> None:
        self.run = run
        self.said = [_plain(text, run) for text in said]
        self.records = history(world, run)
        branch = [record.event.branch for record in self.records if isinstance(record.event, Delivered)]
        self.delivered = world.git("log", "--reverse", "--format=%T %s", *branch).replace(run, "RUN") if branch else ""


def played(world: World, scenario: Scenario, task: str, *words: str) -> Played:
    for branch in scenario.branches:
        world.git("branch", branch)
    if scenario.busy:
        run, said = _played_at_work(world, scenario, task, words)
    else:
        first = world.ask("run", *words, "--plain", "-t", task)
        run, said = run_in(first.err), [str(first.code)]
    _put_answers(world, run, scenario)
    for line in scenario.says:
        answer = world.ask(*shlex.split(line.format(run=run)), "--plain")
        messages = [word for word in answer.err.splitlines() if word.startswith("error: ")]
        said.append(f"{line}: {answer.code} {messages}")
    return Played(world, run, said)


def _played_at_work(world: World, scenario: Scenario, task: str, words: tuple[str, ...]) -> tuple[str, list[str]]:
    process = world.start("run", *words, "--plain", "-t", task)
    until(Path(world.environ["HERE"], task).exists, "no agent began")
    run = world.ask("list", "--json").json()["runs"][0]["id"]
    until(lambda: any(isinstance(record.event, AttemptStarted) for record in history(world, run)), "nobody follows")
    code = world.ask(*shlex.split(scenario.busy.format(run=run)), "--plain").code
    return run, [f"{scenario.busy}: {code}", str(ended(process))]


def ended(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=300)
    return process.returncode


def _put_answers(world: World, run: str, scenario: Scenario) -> None:
    """As those that were given while nobody controlled the run."""
    with journal_of(world) as journal:
        for number, (action, attempt) in enumerate(scenario.inbox):
            stage = attempt.partition("/")[0]
            gate = f"{stage}/ok" if action in ("approve", "reject") else ""
            answer = Answer(f"{run}-{number}", run, Action(action), "me", float(number), stage, attempt, gate, "why")
            journal.put_answer(answer)


def _plain(text: str, run: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d.\d\d:\d\d\S*", "TIME", text.replace(run, "RUN"))
