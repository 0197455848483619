"""An agent's line that is wrong: who is told what, how often it is tried, and that nothing is said twice."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

from interlock.cli.lines import Story
from interlock.core.events import AttemptErrored, AttemptStarted, EffectErrored, Finding, Recorded, VerdictGiven
from interlock.core.events import VerdictStatus as Status
from interlock.core.ids import parse_attempt
from interlock.core.pipeline import Pipeline, Stage
from interlock.pipelinefile.load import LINE

PIPELINE = """\
version: 1
name: one
agents:
  coder: {use: command, run: RUN}
stages:
  code: {agent: coder}
"""
KEEPS = (
    "This run keeps its own copy of the pipeline. If a line of it is wrong, correct the file, then `interlock cancel`"
)


def world_with(tmp_path: Path, run: str, **more: str) -> World:
    return new_world(tmp_path / "user", {"interlock.yaml": PIPELINE.replace("RUN", run), **more})


@pytest.mark.parametrize(
    ("run", "why"),
    [("no-such-agent-here --edit", "a command was not found"), ("./agent.sh", "a command cannot be run")],
)
def test_a_line_that_cannot_be_started_is_tried_once(tmp_path: Path, run: str, why: str) -> None:
    world = world_with(tmp_path, run, **{"agent.sh": "exit 0\n"})
    said = world.ask("run", "-t", "x").ended(3, why, KEEPS, "a person must fix it")
    assert "code/1.2" not in said.text
    assert "again at" not in said.text


def test_a_crash_is_told_with_what_it_said_and_each_word_once_more_at_most(tmp_path: Path) -> None:
    world = world_with(tmp_path, "\"echo 'no model of that name'; echo 'try another'; exit 1\"")
    said = world.ask("run", "-t", "x").ended(3, KEEPS)
    assert said.text.count("ended with exit code 1; it said: no model of that name") == 4  # three tries, and the end
    assert said.text.count("no model of that name / try another") == 1
    assert said.text.count("paused (infrastructure)") == 2
    lines = [line for line in said.text.splitlines() if "infrastructure: crashed" in line]
    assert ["tried 3 times" in line for line in lines] == [False, False, True]
    assert "again" not in lines[-1]
    assert world.ask("show", "-v").text.count("no model of that name") == 2  # with the first attempt, and at the end
    assert world.ask("show").text.count("no model of that name") == 1


def test_a_run_without_an_agent_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    world = world_with(tmp_path, json.dumps(LINE))
    world.ask("run", "-t", "x").ended(
        2, "interlock.yaml:4:", "none of its agents is installed", "write the line that starts"
    )
    assert "no runs" in world.ask("status").text


def test_an_old_test_that_must_change_is_a_persons_to_decide(tmp_path: Path) -> None:
    stage = "{agent: coder, attempts: 1, writes: [src/**], adds: [tests/**]}"
    world = world_with(tmp_path, "echo new > tests/test_a.py", **{"tests/test_a.py": "old\n"})
    pipeline = (world.repository / "interlock.yaml").read_text()
    world.commit({"interlock.yaml": pipeline.replace("{agent: coder}", stage)})
    said = world.ask("run", "-t", "x").ended(3, "protected from this stage: tests/test_a.py", "--override")
    assert "only a stage that `authors` it may change it" in world.ask("show", "-v").text
    assert "add the file to `authors` of a stage" in said.text


def told(*events: object, apart_s: float = 0.0) -> list[str]:
    story = Story(Pipeline("p", (Stage("code"),)))
    records = [Recorded(number + 1, 1_000.0 + apart_s * number, event) for number, event in enumerate(events)]
    return [str(line) for record in records if (line := story.line(record)) is not None]


def test_no_time_is_told_that_is_past_or_never_comes() -> None:
    attempt = parse_attempt("code/1.1")
    began = AttemptStarted(attempt, "coder", "", "")
    (_, line) = told(began, AttemptErrored(attempt, "down", 900.0))
    assert "again at once" in line
    (_, line) = told(began, AttemptErrored(attempt, "down", 2_000.0))
    assert f"again at {time.strftime('%H:%M:%S', time.localtime(2_000.0))}" in line
    (line,) = told(EffectErrored("DeliverBranch", 3, "down", 2_000.0))
    assert "tried 3 times" in line
    assert "again" not in line


def test_a_gate_line_is_cut_once() -> None:
    findings = (Finding("r", "word " * 100), Finding("r", "x"))
    verdict = VerdictGiven(parse_attempt("code/1.1"), "code/test", 1, Status.FAILED, findings)
    (line,) = told(verdict)
    assert line.count("...") == 1
