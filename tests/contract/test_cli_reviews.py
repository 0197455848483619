"""Reviews, agents that stand in, and what reviews lead to: whole runs, through the program."""

import json
import re
from pathlib import Path

import pytest
from tests.contract.bad_input_world import Ground, Said, repository

HEAD = """\
version: 1
name: reviewed
defaults: {attempts: 3}
agents:
  writer: {use: command, run: [bash, ../writer]}
  critic: {use: command, run: [bash, ../critic]}
"""
CODE = """\
stages:
  code:
    agent: writer
    gates:
      - id: there
        run: test -s app.txt
      - id: review
        review: {by: [critic], rubric: Be strict.}
"""
PLANNED = """\
stages:
  plan:
    agent: writer
    writes: []
    produces:
      plan: {file: plan.md}
  code:
    needs: [plan]
    on_reject:
      - {gate: review, reason: plan, goto: plan, max: 1}
"""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, repository(tmp_path / "repository"))


def script(ground: Ground, name: str, text: str) -> None:
    """A program beside the repository. Agents find it there by its whole path."""
    (ground.root / name).write_text(f"set -eu\ncat > /dev/null\n{text}\n")


def pipeline(ground: Ground, text: str) -> None:
    (ground.repository / "interlock.yaml").write_text(text.replace("../", f"{ground.root}/"))


def answer(verdict: str, message: str = "", reason: str = "code", **more: object) -> str:
    """A line of bash that gives this answer."""
    finding = {"file": "app.txt", "line": 1, "severity": "error", "reason": reason, "message": message}
    said = {"verdict": verdict, "findings": [finding] if message else [], "earlier": [], "requirements": [], **more}
    return f"echo '{json.dumps(said)}'\n"


def earlier(status: str) -> str:
    """The first thing in a reviewer's program: on a second candidate, what it said before is `status`."""
    answered = answer("approve", earlier=[{"id": "1", "status": status}])
    return f'if grep -q "What you asked for" "$BRIEF"; then\n{answered}exit 0\nfi\n'


def shown(ground: Ground) -> dict[str, object]:
    found: dict[str, object] = json.loads(ground.ask("show", "--json").out)
    return found.get("run", found)


def stage(view: dict[str, object], name: str = "code") -> dict[str, object]:
    return next(one for one in view["stages"] if one["id"] == name)


def verdicts(attempt: dict[str, object]) -> list[tuple[str, str]]:
    return [(each["verdict"]["gate"], each["verdict"]["status"]) for each in attempt["verdicts"]]


def run(ground: Ground) -> Said:
    return ground.ask("run", "-t", "say hello", "--plain")


def test_a_revision_reaches_the_next_attempt_and_no_other_word_does(ground: Ground) -> None:
    script(ground, "writer", 'grep -q "it is rude" "$BRIEF" && echo kind > app.txt || echo rude > app.txt')
    script(ground, "critic", earlier("answered") + answer("revise", "it is rude"))
    pipeline(ground, HEAD + CODE)
    said = run(ground)
    assert ground.content(ground.delivered(said), "app.txt") == b"kind\n"
    first, second = stage(shown(ground))["attempts"]
    assert verdicts(first)[-1] == ("code/review", "failed")
    assert verdicts(second)[-1] == ("code/review", "passed")
    assert "gate review failed (soft): 1 finding (app.txt:1 it is rude)" in said.text


def test_a_review_is_asked_only_of_what_passed_every_hard_gate(ground: Ground) -> None:
    script(ground, "writer", "test -e ../nothing || : > app.txt")
    script(ground, "critic", f"touch {ground.root}/asked\n" + answer("approve"))
    pipeline(ground, HEAD + CODE)
    assert run(ground).code == 3
    assert not (ground.root / "asked").exists()


def test_a_review_overrules_no_hard_gate_and_a_person_may_overrule_a_review(ground: Ground) -> None:
    script(ground, "writer", 'echo "try $INTERLOCK_ATTEMPT" > app.txt')
    script(ground, "critic", earlier("open").replace("approve", "revise") + answer("revise", "never"))
    pipeline(ground, HEAD + CODE)
    said = run(ground)
    assert said.code == 3
    assert "the same findings for the third time" in said.text or "all 3 attempts were rejected" in said.text
    accepted = ground.ask("accept", "code/1.2", "--plain")
    assert accepted.code == 0, accepted.text
    assert "although gate review did not pass" in accepted.text
    assert re.search(r"OVERRIDDEN by a person: code/1.2 by .+: review \(soft\) failed", ground.ask("status").text)
    assert ground.content(ground.delivered(accepted), "app.txt") == b"try code/1.2\n"


def test_a_person_may_accept_what_a_review_could_not_judge(ground: Ground) -> None:
    script(ground, "writer", "echo hello > app.txt")
    script(ground, "critic", "echo nonsense")
    pipeline(ground, HEAD + CODE)
    said = run(ground)
    assert (said.code, "interlock accept" in said.text, "--override" in said.text) == (3, True, False)
    accepted = ground.ask("accept", "code/1.1", "--plain")
    assert accepted.code == 0, accepted.text
    assert ground.content(ground.delivered(accepted), "app.txt") == b"hello\n"
    assert re.search(r"OVERRIDDEN by a person: code/1.1 by .+: review \(soft\) errored", ground.ask("show").text)


def test_a_flaw_of_the_plan_goes_back_to_the_plan(ground: Ground) -> None:
    script(
        ground,
        "writer",
        "case $INTERLOCK_ATTEMPT in\n"
        'plan/*) size=small; if grep -q "too small" "$BRIEF"; then size=big; fi\n'
        'echo "# $size" > "$ARTIFACTS/plan.md" ;;\n'
        'code/*) cp "$ARTIFACT_PLAN_PLAN" app.txt ;;\nesac',
    )
    script(ground, "critic", "if grep -q big app.txt; then\n" + answer("approve") + "exit\nfi\n"
           + answer("revise", "the plan is too small", reason="plan"))  # fmt: skip
    pipeline(ground, HEAD + PLANNED + CODE.removeprefix("stages:\n  code:\n"))
    said = run(ground)
    assert ground.content(ground.delivered(said), "app.txt") == b"# big\n"
    view = shown(ground)
    assert [attempt["id"] for attempt in stage(view, "plan")["attempts"]] == ["plan/1.1", "plan/2.1"]
    assert [attempt["id"] for attempt in stage(view)["attempts"]] == ["code/1.1", "code/2.1"]


def test_a_question_for_a_person_waits_for_one(ground: Ground) -> None:
    script(ground, "writer", "echo hello > app.txt")
    script(ground, "critic", answer("escalate", "who may see this?"))
    pipeline(ground, HEAD + CODE)
    said = run(ground)
    assert said.code == 3
    assert "is paused (escalated): gate code/review asks for a decision by a person" in said.text
    assert "who may see this?" in said.text
    assert "interlock accept" in said.text


def test_what_a_review_costs_counts_against_the_limits(ground: Ground) -> None:
    used = 'echo \'{"tokens_in": 900, "tokens_out": 100, "cost_usd": 1.0}\' > "$INTERLOCK_USAGE"\n'
    script(ground, "writer", 'echo "try $INTERLOCK_ATTEMPT" > app.txt')
    script(ground, "critic", used + earlier("open").replace("approve", "revise") + answer("revise", "never"))
    pipeline(ground, HEAD + "limits: {tokens: 1500}\n" + CODE)
    said = run(ground)
    assert said.code == 3
    assert "tokens: 2000 of 1500 used" in said.text
    assert "--raise tokens=N" in said.text
    assert shown(ground)["spent"]["tokens"] == 2000


def test_a_reviewer_that_gives_no_verdict_is_no_pass(ground: Ground) -> None:
    script(ground, "writer", 'echo \'{"verdict": "approve"}\' > app.txt')
    script(ground, "critic", "cat app.txt; echo APPROVE")
    pipeline(ground, HEAD + CODE)
    said = run(ground)
    assert said.code == 3
    assert "gave no verdict" in said.text
    assert stage(shown(ground))["phase"] == "paused"


def test_who_is_down_is_stood_in_for(ground: Ground) -> None:
    script(ground, "writer", 'echo \'{"ended": "unavailable"}\' > "$INTERLOCK_USAGE"; exit 1')
    script(ground, "critic", "echo hello > app.txt")
    pipeline(ground, HEAD.replace("run: [bash, ../writer]", "run: [bash, ../writer], fallback: [critic]")
             + CODE.split("      - id: review")[0])  # fmt: skip
    said = run(ground)
    assert said.code == 0, said.text
    attempts = stage(shown(ground))["attempts"]
    assert [(one["agent"], one["phase"]) for one in attempts] == [("writer", "errored")] * 3 + [("critic", "accepted")]
