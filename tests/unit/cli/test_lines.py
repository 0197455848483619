"""How the story of a run tells that an attempt was lost or it ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.agents.failures import Access, Cause, advice, failure_message
from interlock.cli.lines import Story, _of_run
from interlock.cli.words import clock
from interlock.core.events import (
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    Event,
    Finding,
    HandoffAccepted,
    Paused,
    PauseReason,
    Recorded,
    RunFinished,
    RunStatus,
    Severity,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, Pipeline, Stage
from interlock.core.stages import Stages
from interlock.core.state import RunState, StageState
from interlock.readmodel.history import AttemptPhase, AttemptView, Past, VerdictView
from interlock.readmodel.reasons import reasons


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            AttemptLost(AttemptId("code", 1, 1), "the Interlock process that ran it has ended"),
            "lost: the Interlock process that ran it has ended; this does not count as an attempt",
        ),
        (RunFinished(RunStatus.CANCELLED, "cancelled by me: enough"), "cancelled"),
        (RunFinished(RunStatus.STOPPED, "the base is red"), "stopped: the base is red"),
        (RunFinished(RunStatus.ACCEPTED, ""), "accepted"),
    ],
)
def test_one_line(event: Event, words: str) -> None:
    told = Story(Pipeline("p", ())).line(Recorded(1, 0.0, event))
    assert told is not None
    assert told.text == words


def test_what_a_person_accepts_over_is_named() -> None:
    story, attempt = Story(Pipeline("p", (Stage("code", agent="a"),))), AttemptId("code", 1, 1)
    accepted = HandoffAccepted(attempt, "c", "t", "r", override_by="ann")
    assert _told(story, accepted) == "accepted by ann, although not every gate passed"  # judged before the story began
    for gate, status in (("test", VerdictStatus.PASSED), ("review", VerdictStatus.FAILED)):
        _told(story, VerdictGiven(attempt, f"code/{gate}", 1, status))
    assert _told(story, accepted) == "accepted by ann, although gate review did not pass"
    _told(story, VerdictGiven(attempt, "code/lint", 1, VerdictStatus.ERRORED))
    assert _told(story, accepted) == "accepted by ann, although gates review, lint did not pass"
    assert _told(story, HandoffAccepted(attempt, "c", "t", "r", by="ann")) == "accepted by ann"


def test_who_is_down_is_taken_over_from_before_a_person_is_asked() -> None:
    spare = tuple(AgentSpec(name, "codex", fallback=after) for name, after in (("a", ("b", "c")), ("b", ()), ("c", ())))
    story = Story(Pipeline("p", (Stage("code", agent="a"),), agents=spare))
    said = [
        _failed(story, 1, "a", AttemptErrored(AttemptId("code", 1, 1), "limit", 900.0, quota=True)),
        _failed(story, 2, "b", AttemptErrored(AttemptId("code", 1, 2), "it broke", 900.0)),
        _failed(story, 3, "b", AttemptErrored(AttemptId("code", 1, 3), "bad key", 900.0, permanent=True)),
        _failed(story, 4, "c", AttemptErrored(AttemptId("code", 1, 4), "bad key", 900.0, permanent=True)),
    ]
    ends = ["b takes over", f"again at {clock(900.0)}", "c takes over", "a person must fix it"]
    assert [text.split("; ")[1] for text in said] == ends


def test_what_to_do_is_whole_however_much_the_program_said() -> None:
    for access in (Access("codex", {"CODEX_API_KEY": "x", "OPENAI_API_KEY": "y"}), Access("x", {}, (), "http://a:1")):
        for cause in set(Cause) - {Cause.OTHER}:
            wanted = advice(cause, access)
            why = f"out of budget: {failure_message('opencode', wanted, 'word ' * 300)}"
            story = Story(Pipeline("p", (Stage("code"),)))
            assert wanted in _failed(story, 1, "", AttemptErrored(AttemptId("code", 1, 1), why, 0.0))
            paused = story.line(Recorded(9, 0.0, Paused("code", PauseReason.INFRASTRUCTURE, why)))
            assert paused is not None
            assert wanted in paused.text


def _failed(story: Story, number: int, agent: str, event: AttemptErrored) -> str:
    story.line(Recorded(number * 2, 0.0, AttemptStarted(event.attempt, agent, "", "")))
    told = story.line(Recorded(number * 2 + 1, 0.0, event))
    assert told is not None
    return told.text


@pytest.mark.parametrize("rule", ["changed_files", "asked_again"])
def test_a_note_is_no_finding_and_one_on_the_command_or_the_reviewers_is_shown(rule: str) -> None:
    story, attempt = Story(Pipeline("p", (Stage("code", agent="a"),))), AttemptId("code", 1, 1)
    note = Finding(rule, "the command changed b.py", Severity.NOTE)
    other = Finding("fails_before", "test_x failed before", Severity.NOTE)
    passed = VerdictGiven(attempt, "code/lint", 1, VerdictStatus.PASSED, (other, note))
    assert _told(story, passed) == "gate lint passed; note: the command changed b.py"
    wrong = replace(passed, status=VerdictStatus.FAILED, findings=(note, Finding("E1", "bad")))
    assert _told(story, wrong) == "gate lint failed: 1 finding and 1 note (bad ...)"
    (reason,) = reasons(*_judged(wrong))
    assert (reason.message, reason.findings) == ("bad", 1)


def test_what_is_not_in_the_sandbox_is_told_before_what_came_of_it() -> None:
    story, attempt = Story(Pipeline("p", (Stage("code", agent="a"),))), AttemptId("code", 1, 1)
    note = Finding("sandbox", "/srv/x is not in the sandbox: add it to `read`", Severity.NOTE)
    wrong = VerdictGiven(attempt, "code/lint", 1, VerdictStatus.FAILED, (Finding("exit", "exit code 1"), note))
    said = "1 finding and 1 note (/srv/x is not in the sandbox: add it to `read` ...)"
    assert _told(story, wrong) == f"gate lint failed: {said}"


def _judged(verdict: VerdictGiven) -> tuple[RunState, Past]:
    past = Past()
    view = AttemptView(
        verdict.subject, AttemptPhase.JUDGING, "a", "", "", "t", 1.0, verdicts=(VerdictView(2.0, verdict),)
    )
    past.attempts["code"] = {view.id: view}
    return RunState(stages=Stages([("code", StageState())])), past


def _told(story: Story, event: Event) -> str:
    line = story.line(Recorded(1, 0.0, event))
    assert line is not None
    return line.text


def test_a_cancel_is_told_once_with_who_and_why() -> None:
    """Its answer comes before, and the conclusion after it."""
    assert _of_run(RunFinished(RunStatus.CANCELLED, "cancelled by Ann: no"), 0.0).endswith("cancelled")
    assert _of_run(RunFinished(RunStatus.STOPPED, "broken"), 0.0).endswith("stopped: broken")
