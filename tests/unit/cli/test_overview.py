"""A run in one screen."""

from __future__ import annotations

from dataclasses import replace

import click
from tests.unit.cli.views import ASKED, RUN, attempt_of, run_of, stage_of
from tests.unit.core.histories import ASKED as ASKING
from tests.unit.core.histories import FAILED, ONE, PIPELINE, SECOND
from tests.unit.readmodel.test_history import seen

from interlock.cli.overview import Around, run_page, status_page
from interlock.cli.pages import full_page
from interlock.cli.verdicts import verdict_words
from interlock.cli.words import closing, folded, wrapped
from interlock.core.events import (
    Action,
    AnswerTaken,
    CandidateRejected,
    Finding,
    Paused,
    PauseReason,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.ids import AttemptId
from interlock.core.state import Phase
from interlock.ports import Change
from interlock.readmodel.history import AttemptPhase, Reply, VerdictView
from interlock.readmodel.reasons import Reason
from interlock.readmodel.run import RunPhase, RunView, WaitView, describe
from interlock.web.standing import whys

FINDING = Finding("x", "tests/test_a.py:3: 1 is not 2", file="tests/test_a.py", line=3)
TRIED = [attempt_of("code", number, AttemptPhase.REJECTED, FINDING) for number in (1, 2, 3)]
REASON = Reason(
    "code", "code/1.3", "code/test", VerdictStatus.FAILED, hard=True, message=FINDING.message, file="tests/test_a.py",
    line=3, findings=1, times=3,
)  # fmt: skip
CHANGE = Change("a.txt", "M", "100644", "100644", 1, 2)
PAUSE = WaitView("code", "code/1.3", "", "attempts", "all 3 attempts were rejected", ("interlock retry R code",))


def paused() -> RunView:
    return run_of(
        replace(stage_of("code", Phase.PAUSED, *TRIED), waits=PAUSE.detail),
        phase=RunPhase.WAITING,
        waits=(PAUSE,),
        reasons=(REASON,),
    )


def said(view: RunView, around: Around | None = None) -> list[str]:
    lines = [click.unstyle(line) for line in run_page(view, around or Around(width=80))]
    assert all(len(line) <= 80 for line in lines if "interlock" not in line), lines
    return lines


def test_each_thing_is_said_once_in_the_order_of_every_surface() -> None:
    lines = said(paused(), Around(width=80, up_to="code/1.3", changes=(CHANGE,)))
    text = "\n".join(lines)
    order = [
        "waiting for you",
        "is paused",
        "interlock retry R code",
        "why ",
        "changes ",
        "spent ",
        "‖ code",
        "details:",
    ]
    assert [text.count(word) for word in order] == [1] * len(order), text
    assert sorted(order, key=text.index) == order
    assert "why      code/1.1\u20131.3 rejected by test: tests/test_a.py:3 1 is not 2 (same 3" in lines
    assert text.count("1 is not 2") == 1
    assert text.count(PAUSE.detail) == 1
    assert "changes  1 file, +1 -2, base to code/1.3" in lines
    assert len(lines) < 24


def test_a_pause_that_says_the_reason_is_not_repeated() -> None:
    why = "the agent has no key"
    lost = Reason("code", "code/1.1", "", VerdictStatus.ERRORED, hard=True, message=why)
    wait = WaitView("code", "code/1.1", "", "infrastructure", f"{why}: set it", ())
    view = run_of(stage_of("code", Phase.PAUSED), phase=RunPhase.WAITING, waits=(wait,), reasons=(lost,))
    assert "\n".join(said(view)).count(why) == 1


def test_a_stage_tells_what_its_test_report_counts() -> None:
    """Where it passed, too."""
    given = VerdictGiven(AttemptId("code", 1, 1), "code/test", 1, VerdictStatus.PASSED, tests="1,991 tests, 4 skipped")
    other = replace(given, gate="code/e2e", tests="1 test")
    made = attempt_of("code", 1, AttemptPhase.ACCEPTED, verdicts=(VerdictView(9.0, given),))
    one = said(run_of(stage_of("code", Phase.ACCEPTED, made)))
    assert "✓ code           accepted  code/1.1 coder, 1,991 tests, 4 skipped" in one
    made = replace(made, verdicts=(*made.verdicts, VerdictView(9.0, other)))
    view = run_of(stage_of("code", Phase.ACCEPTED, made))
    assert any(line.endswith("coder, 1,991 tests, 4 skipped (+1 report)") for line in said(view))
    assert any("test         passed (1,991 tests, 4 skipped)" in click.unstyle(line) for line in full_page(view))


def test_status_has_no_history() -> None:
    lines = [click.unstyle(line) for line in status_page(paused(), Around(width=80))]
    assert any(line.startswith("why ") for line in lines)
    assert not any(line.startswith(("task", "changes", "details")) for line in lines)


def test_what_was_rejected_before_is_folded_under_its_stage() -> None:
    done = attempt_of("code", 4, AttemptPhase.ACCEPTED)
    lines = said(run_of(stage_of("code", Phase.ACCEPTED, *TRIED, done)))
    assert "    1.1\u20131.3 rejected by test (3 times): tests/test_a.py:3 1 is not 2" in lines


def test_many_stages_fit() -> None:
    stages = [stage_of(f"d{number}", Phase.ACCEPTED) for number in range(8)]
    view = run_of(*stages, stage_of("code", Phase.WORKING), *(stage_of(f"t{n}", Phase.WAITING) for n in range(8)))
    lines = said(view)
    assert "✓ 8 stages accepted: d0, d1, d2, d3, d4, d5, d6, d7" in lines
    assert len(lines) < 24


def test_answers_are_told_with_their_words_and_what_became_of_them() -> None:
    subject = AttemptId("ship", 1, 1)
    yes = AnswerTaken("1", Action.APPROVE, "Ann (Ann <a@b.c>)", subject=subject, stage="ship", gate="ship/merge")
    no = AnswerTaken("2", Action.REJECT, "Bob", subject=subject, stage="ship", gate="ship/merge", comment="too short")
    view = run_of(
        stage_of("ship", Phase.ACCEPTED), replies=(Reply(10.0, yes), Reply(13.0, no, "ship/merge does not wait"))
    )
    for page in (run_page(view, Around(width=80)), full_page(view)):
        text = click.unstyle("\n".join(page))
        assert "ship/1.1: Ann" in text
        assert 'ship/1.1: Bob answered reject merge: "too short"; refused: ship/merge does not wait' in text
        assert " had answered approve 3.0 s before)" in text


def test_what_waits_is_asked_with_its_commands() -> None:
    view = run_of(stage_of("ship", Phase.JUDGING), phase=RunPhase.WAITING, waits=(ASKED,))
    lines = said(view)
    assert lines[0] == f"run {RUN}  ? waiting for you  feature, sandbox none"
    assert "  interlock approve R ship" in lines


def test_documents_are_counted_and_not_listed_as_files_that_are_delivered() -> None:
    document = replace(CHANGE, path=".interlock/artifacts/plan/plan.md", added=9)
    lines = said(paused(), Around(width=80, up_to="code/1.3", changes=(document, CHANGE)))
    assert "changes  1 file, +1 -2 and 1 document, not delivered, base to code/1.3" in lines
    assert not [line for line in lines if "plan.md" in line]


STEPS = "\n".join(f"step {number}" for number in range(30))
OUTPUT = Finding(
    "report", f'the report is missing (exit code 4)\n{STEPS}\n  File "u.py", line 8\nIndentationError: no block'
)


def test_the_error_of_an_output_is_shown_with_its_place() -> None:
    tried = attempt_of("code", 1, AttemptPhase.REJECTED, OUTPUT)
    view = run_of(stage_of("code", Phase.PAUSED, tried), phase=RunPhase.WAITING)
    full = click.unstyle("\n".join(full_page(view)))
    assert "u.py:8: IndentationError: no block [report]\n            the report is missing (exit code 4)" in full
    assert full.count("step") < 3
    before = attempt_of("code", 2, AttemptPhase.ACCEPTED)
    lines = said(run_of(stage_of("code", Phase.ACCEPTED, tried, before)))
    assert "    1.1 rejected by test: u.py:8 IndentationError: no block" in lines


def test_several_reasons_have_a_line_each() -> None:
    output = replace(
        REASON, rule="report", message=f"IndentationError: {'no block ' * 9}\nthe report is missing\nand more",
        file="u.py", line=8,
    )  # fmt: skip
    lines = said(replace(paused(), reasons=(output, replace(REASON, gate="code/lint"))))
    first, second = lines[lines.index(next(line for line in lines if line.startswith("why "))) :][:2]
    assert "u.py:8 IndentationError: no" in first
    assert first.endswith("... (3 times)")
    assert "code/1.1\u20131.3 lint: tests/test_a.py:3 1 is not 2 (3 times)" in second


def test_a_full_page_fits_the_terminal_and_its_commands_stay_whole() -> None:
    finding = Finding("x", "it does not " * 30, file="tests/test_a.py", line=3)
    made = attempt_of("code", 1, AttemptPhase.REJECTED, finding)
    lines = [click.unstyle(line) for line in folded(full_page(run_of(stage_of("code", Phase.WORKING, made))), 60)]
    assert max(len(line) for line in lines if "interlock " not in line) <= 60
    first = next(number for number, line in enumerate(lines) if "tests/test_a.py:3:" in line)
    assert lines[first + 1][:12].isspace()
    assert lines[first + 1][12] != " "
    command = f"  interlock approve {'x' * 90}"
    assert list(folded([command], 60)) == [command]
    assert list(folded(["a " * 90], 0)) == ["a " * 90]


def test_closing_words_wrap_at_words_and_commands_do_not() -> None:
    wait = replace(PAUSE, detail="every attempt was rejected " * 6, commands=(f"interlock retry {'R' * 90} code",))
    view = replace(paused(), waits=(wait,))
    lines = list(wrapped(closing(view), 80))
    assert " ".join(lines) == " ".join(closing(view))
    assert [line for line in lines if len(line) > 80] == [f"  {wait.commands[0]}"]
    assert list(wrapped(closing(view), 0)) == closing(view)


def test_a_rejection_by_a_person_is_told_as_that() -> None:
    """In `status`, in `show`, in the lines of a run and of the live view, and where the run waits."""
    by = "root (Ann <ann@example.org>) (web)"
    no = VerdictGiven(ONE, "code/look", 1, FAILED, (Finding("human", "too short"),), by=by, hard=False)
    ended = (no, CandidateRejected(ONE, "t1", "told", "print", gates=("code/look",)))
    waits = describe(PIPELINE, seen(*ASKING, *ended, Paused("code", PauseReason.NO_RULE, "no rule")), "")
    assert [wait.detail for wait in waits.waits] == ["rejected by Ann (web): too short"]
    assert "\n".join(said(waits)).count("rejected by Ann (web): too short") == 1
    other = describe(PIPELINE, seen(*ASKING, *ended, Paused("code", PauseReason.NO_PROGRESS, "no progress")), "")
    assert any("code/1.1 rejected by Ann (web): too short" in line for line in said(other))
    again = describe(PIPELINE, seen(*ASKING, *ended, *SECOND[-2:]), "")
    assert any("1.1 rejected by Ann (web): too short" in line for line in said(again))
    assert verdict_words(no) == "rejected by Ann (web): too short"
    (why,) = whys(other)
    assert (why.reason.by, why.message) == (by, "too short")
    silent = replace(no, findings=(Finding("human", "rejected without a comment"),))
    assert verdict_words(silent) == "rejected by Ann (web): without a comment"
