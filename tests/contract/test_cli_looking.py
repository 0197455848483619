"""Verbs that look at a run: nothing of it changes, and each says what it is asked for."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract.cli_world import World, new_world, stage_of, verdicts_of

from interlock.bootstrap import build
from interlock.cli.lines import Story
from interlock.core.events import Action, Recorded, Refused
from interlock.core.pipeline import Pipeline
from interlock.journal import LocalRuns
from interlock.service import AnswerRequest

PIPELINE = """\
version: 1
name: feature
agents:
  coder: {use: command, run: [bash, -c, 'cat > /dev/null; test -s made.txt || : ; echo "hello $INTERLOCK_ATTEMPT"; if
    grep -q rejected "$BRIEF"; then echo right > made.txt; else echo wrong > made.txt; fi']}
stages:
  plan:
    run: echo '# Goal' > "$ARTIFACTS/plan.md"
    produces:
      plan: {file: plan.md, sections: [Goal]}
  code:
    needs: [plan]
    agent: coder
    writes: [made.txt]
    gates:
      - id: test
        run: |
          ok=true; test ! -e made.txt || grep -q right made.txt || ok=false
          failure=""; $ok || failure="<failure message='it is wrong'/>"
          echo "<testsuite><testcase classname='t' name='right' file='t.py' line='3'>" > "$REPORT"
          echo "$failure</testcase></testsuite>" >> "$REPORT"
          echo "looked at made.txt"; $ok
        report: junit
  ship:
    needs: [code]
    gates:
      - id: merge
        approve: Ship it?
    on_reject:
      - pause: true
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run that waits for its person, after one rejected attempt."""
    world = new_world(tmp_path_factory.mktemp("looking"), {"interlock.yaml": PIPELINE, "readme.md": "old\n"})
    world.ask("run", "-t", "make it right").ended(3, "ship/1.1 waits for an approval of gate merge: Ship it?")
    return world


@pytest.fixture
def run(world: World) -> str:
    name: str = world.show()["id"]
    return name


def test_status_says_where_it_is_and_what_is_next(world: World, run: str) -> None:
    said = world.ask("status").ended(
        0, f"run {run}  ? waiting for you", "✓ plan", "✓ code", f"interlock approve {run} ship"
    )
    assert len(said.out.splitlines()) < 12
    assert world.ask("status", "--json").json()["run"]["phase"] == "waiting"


def test_a_brief_is_shown_before_a_run_and_as_it_was_sent(world: World, run: str) -> None:
    before = world.ask("plan", "--brief", "code").ended(0).out
    assert before.startswith("## Task\n\n[the task]\n")
    assert world.ask("plan", "--brief", "code", "--json").json()["brief"] + "\n" == before
    first = world.ask("show", "code/1.1", "--brief").ended(0).out
    assert first == before.replace("[the task]", "make it right")
    last = world.ask("show", "--brief").ended(0).out  # of the newest attempt of an agent
    assert last.startswith("## What was wrong\n\ncode/1.1 was rejected:\n- test: t.py:3: t::right failed")
    assert "+wrong\n" in last
    assert world.ask("show", run, "code", "--brief", "--json").json()["brief"] + "" == last
    world.ask("show", "plan/1.1", "--brief").ended(2, "plan/1.1 has no brief")
    world.ask("plan", "--brief", "ship").ended(2, "no stage with an agent, there are code")


def test_the_template_of_briefs_can_be_taken_as_ones_own(world: World) -> None:
    template = world.ask("schema", "--brief").ended(0).out
    assert "{{ may_change }}" in template
    (world.repository / "own.md").write_text(template)
    own = PIPELINE.replace("writes: [made.txt]", "writes: [made.txt]\n    brief: {file: own.md}")
    (world.repository / "own.yaml").write_text(own)
    try:
        shown = world.ask("plan", "own.yaml", "--brief", "code").ended(0).out
        assert shown == world.ask("plan", "--brief", "code").out
    finally:
        (world.repository / "own.yaml").unlink()
        (world.repository / "own.md").unlink()


def test_list_has_one_line_for_a_run(world: World, run: str) -> None:
    (line,) = world.ask("list").ended(0).out.splitlines()
    assert line.split()[:3] == [run, "waiting", "feature"]
    assert "make it right" in line
    (found,) = world.ask("list", "--json").json()["runs"]
    assert (found["id"], found["phase"], found["spent"]["attempts"]) == (run, "waiting", 2)
    assert "stages" not in found


def test_show_tells_attempts_verdicts_findings_and_digests(world: World) -> None:
    said = world.ask("show", "-v").ended(
        0, "code/1.1  rejected", "code/1.2  accepted", "✗ test", "t.py:3: ", "it is wrong"
    )
    view = world.show()
    first, second = stage_of(view, "code")["attempts"]
    assert verdicts_of(first)["code/test"]["status"] == "failed"
    assert [each["status"] for each in verdicts_of(second).values()] == ["passed", "passed"]
    assert second["commit"][:10] in said.out
    deep = world.ask("show", "code/1.2").ended(0).out
    assert second["tree"] in deep
    assert second["record"] in deep
    assert "plan" not in world.ask("show", "code").out.splitlines()[1]


def test_logs_are_those_of_the_run_of_an_attempt_or_of_a_gate(world: World) -> None:
    assert "code/1.1     rejected by test" in world.ask("logs").out
    assert world.ask("logs", "code/1.1").out == "hello code/1.1\n"
    assert world.ask("logs", "code").out == "hello code/1.2\n"
    assert world.ask("logs", "code/1.1", "test").out == "looked at made.txt\n"
    assert "it is wrong" in world.ask("logs", "code/1.1", "test", "--report").out
    kinds = [line["kind"] for line in world.ask("logs", "--json").lines()]
    assert kinds[0] == "RunStarted"
    assert kinds.count("AttemptStarted") == 4


@pytest.mark.parametrize(
    ("words", "added"),
    [
        (["code/1.1", "code/1.2"], ["+right"]),
        (["base", "code"], ["+right"]),
        (["plan", "code"], ["+right"]),
        (["code/1.1"], ["+wrong"]),
        (["base", "ship/1.1"], ["+right"]),
    ],
)
def test_diff_is_between_whatever_is_named(world: World, words: list[str], added: list[str]) -> None:
    lines = world.ask("diff", *words).ended(0).out.splitlines()
    assert [line for line in lines if line in ("+right", "+wrong")] == added


def test_a_raw_diff_can_be_applied(world: World, tmp_path: Path) -> None:
    patch = world.ask("diff", "--raw", "base", "code").out
    world.git("clone", "-q", str(world.repository), str(tmp_path / "clone"))
    subprocess.run(["git", "apply"], cwd=tmp_path / "clone", input=patch.encode(), check=True)
    assert (tmp_path / "clone/made.txt").read_text() == "right\n"
    assert "made.txt" in world.ask("diff", "--stat", "base", "code").out
    files: list[dict[str, Any]] = world.ask("diff", "--json", "base", "code").json()["changes"]
    assert {one["path"]: one["status"] for one in files}["made.txt"] == "A"


def test_a_shell_is_in_a_fresh_checkout_that_goes_away(world: World) -> None:
    said = world.ask("shell", "code/1.1", "-c", "cat made.txt; echo x > made.txt; git status --short; pwd; exit 4")
    assert said.code == 4
    content, changed, place = said.out.splitlines()[-3:]
    assert (content, changed.split()[-1]) == ("wrong", "made.txt")
    assert not Path(place).exists()
    assert world.ask("shell", "code/1.1", "-c", "cat made.txt").out.splitlines()[-1] == "wrong"


def test_a_shell_in_the_base_has_no_work_in_it(world: World, run: str) -> None:
    for words in (("base",), (run, "base")):
        said = world.ask("shell", *words, "-c", "ls; echo ${REPORT:+set}")
        assert said.ended(0, "base at").out.splitlines()[-1] == "set"
        assert "made.txt" not in said.out
    world.ask("shell", "-c", "ls").ended(2, "expected STAGE, STAGE/1.2 or base")


def test_watching_ends_where_a_person_is_waited_for(world: World, run: str) -> None:
    world.ask("watch").ended(3, "code/1.2     accepted", "waits for a person")
    lines = world.ask("watch", run, "--json").ended(3).lines()
    assert lines[-1]["kind"] == "outcome"
    assert lines[-1]["phase"] == "waiting"


def test_a_run_that_was_answered_waits_for_an_owner_and_no_more_for_a_person(tmp_path: Path) -> None:
    text = "version: 1\nstages:\n  ship: {may_be_empty: true, run: 'true', gates: [{id: merge, approve: 'Ship it?'}]}\n"
    world = new_world(tmp_path / "w", {"interlock.yaml": text})
    world.ask("run", "-t", "x").ended(3)
    with closing(build(world.repository, world.environment())) as app:
        view = app.service.latest_run()
        assert view.phase == "waiting"
        app.service.answer(app.service.describe_run(view.id), AnswerRequest(Action.APPROVE, "me"))
        assert app.service.latest_run().phase == "interrupted"
        assert app.service.describe_run(view.id).phase == "interrupted"
        owned = replace(app.service, engine=LocalRuns(app.journal, app.journal, lambda run: "process 1"))
        assert owned.locate_run(view.id).phase == "running"
    world.ask("resume").ended(0, "accepted")


def test_plan_tells_the_worst_case(world: World) -> None:
    world.ask("plan").ended(0, "plan", "code", "ship", "Ship it?")
    assert world.ask("plan", "--json").json()
    assert "ship" not in world.ask("plan", "--until", "code").out


def test_the_schema_is_one_that_knows_the_pipeline(world: World) -> None:
    schema = json.loads(world.ask("schema").ended(0).out)
    assert "stages" in schema["properties"]


def test_doctor_looks_at_everything(world: World) -> None:
    said = world.ask("doctor")
    for word in ("git", "Python", "disk", "interlock.yaml"):
        assert word.lower() in said.text.lower(), said.text
    assert world.ask("doctor", "--json").json()


@pytest.mark.parametrize("name", ["", "ends-with"])
def test_a_run_is_found_by_a_part_of_its_name(world: World, run: str, name: str) -> None:
    part = run[-6:] if name else run[:-3]
    assert world.show(part)["id"] == run


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["show", "nonsense"], "no stage nonsense: it has plan, code, ship"),
        (["show", "code/9.9"], "no attempt code/9.9"),
        (["logs", "code/1.1", "nogate"], "nogate"),
        (["diff", "base", "code/7.7"], "code/7.7"),
        (["watch", "20000101-000000-zzzzzz"], "no run 20000101-000000-zzzzzz"),
        (["shell", "plan/3.3"], "plan/3.3"),
        (["diff", "ship"], "nothing accepted yet: name an attempt, such as ship/1.1"),
    ],
)
def test_what_is_not_there_is_said_by_name(world: World, words: list[str], hint: str) -> None:
    world.ask(*words).ended(2, "error: ", hint)


def test_what_came_too_late_is_told_in_words() -> None:
    story = Story(Pipeline("p", ()))
    told = story.line(Recorded(1, 0.0, Refused("VerdictGiven", "code/1.1", "it is over")))
    answered = story.line(Recorded(2, 0.0, Refused("answer", "a1", "it is over")))
    assert (told and told.text, answered and answered.text) == (
        "a verdict of code/1.1 came too late: it is over", "an answer was refused: it is over",
    )  # fmt: skip
