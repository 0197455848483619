"""The same pipelines on the local engine and on Temporal: the same histories, up to order, time and owner; a person is
told the same."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.temporal.scenarios import SCENARIOS, Scenario
from tests.contract.temporal.world import Cluster, Server, cluster_in, history, journal_of, run_in, told, until

from interlock.core.events import Action, AttemptStarted, Delivered
from interlock.core.inbox import Answer


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("here")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, server: Server, here: Path) -> Iterator[Cluster]:
    with cluster_in(tmp_path_factory.mktemp("many"), server, HERE=str(here)) as found:
        yield found


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_histories_are_the_same(tmp_path: Path, many: Cluster, here: Path, name: str) -> None:
    scenario = SCENARIOS[name]
    files = {"interlock.yaml": scenario.pipeline}
    local = new_world(tmp_path / "local", files, HERE=str(tmp_path))
    far = many.submitter(tmp_path / "far", files, HERE=str(here))
    there = played(local, scenario, name)
    where = played(far, scenario, name, "--engine", "temporal")
    assert where.said == there.said
    assert told(where.records) == told(there.records)
    assert where.delivered == there.delivered


class Played:
    """What came of a scenario: exit codes and messages, the history, and the trees of its branch, oldest first."""

    def __init__(self, world: World, run: str, said: list[str]) -> None:
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
    return run, [f"{scenario.busy}: {code}", str(_ended(process))]


def _ended(process: subprocess.Popen[str]) -> int:
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
