"""Where a run stands, in the words of its page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.core.histories import ASKED, DELIVERED, ONE, PAUSED, PIPELINE, REJECTED, SECOND, TWO, WORKING, verdict
from tests.unit.readmodel.test_history import seen

from interlock.core.events import (
    CandidateRejected,
    Event,
    Finding,
    RunFinished,
    RunStatus,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.ids import base_of
from interlock.core.limits import LimitUsage
from interlock.readmodel.run import RunPhase, RunView, describe, unreadable
from interlock.web.evidence import caught, checks
from interlock.web.standing import at_work, begun, delivered, limit_words, standing, whys, worked

FAILED = VerdictStatus.FAILED


def view(*events: Event, owner: str = "") -> RunView:
    return describe(PIPELINE, seen(*events), owner)


def test_each_state_has_a_word_an_icon_and_a_colour_of_its_own() -> None:
    waiting, paused = standing(view(*ASKED)), standing(view(*PAUSED))
    assert (waiting.word, paused.word) == ("Waiting for you", "Paused, needs you")
    others = [standing(replace(view(*ASKED), phase=phase, waits=())) for phase in RunPhase if phase != "waiting"]
    assert len({one.word for one in others} | {waiting.word, paused.word}) == len(others) + 2
    assert [one.word for one in others if one.tone == "good"] == ["Accepted"]
    assert {one.tone for one in (waiting, paused)} == {"wait"}


def test_an_accepted_run_with_an_override_does_not_look_accepted() -> None:
    accepted = replace(view(*DELIVERED), phase=RunPhase.ACCEPTED)
    assert (standing(accepted).word, standing(accepted).tone) == ("Accepted", "good")
    overruled = standing(replace(accepted, overrides=("code/1.1",)))
    assert (overruled.word, overruled.tone) == ("Accepted with an override", "wait")


@pytest.mark.parametrize("phase", RunPhase)
def test_who_must_act_is_said_in_every_state(phase: RunPhase) -> None:
    said = standing(replace(view(*ASKED), phase=phase))
    assert said.who.startswith(("You", "Nobody needs to act"))
    assert said.commands


def test_what_to_do_next() -> None:
    accepted = replace(view(*DELIVERED), phase=RunPhase.ACCEPTED)
    assert standing(accepted).commands == ("git diff c0 b", "git merge b")
    assert standing(view(*WORKING)).commands == ("interlock resume r",)
    cancelled = replace(view(*WORKING), phase=RunPhase.CANCELLED, task="it's two")
    assert standing(cancelled).commands[-1] == """interlock run -p p -t 'it'"'"'s two'"""
    assert standing(replace(cancelled, task="one\ntwo")).commands[-1] == 'interlock run -p p -t "..."'
    damaged = unreadable("r", "event 5 is not as it was recorded", damaged=True)
    assert standing(damaged).commands == ("interlock doctor", "interlock doctor --set-aside r")


def test_what_may_be_old_says_so() -> None:
    said = standing(replace(view(*WORKING, owner="p"), behind="the server is silent: shown is what was known at noon"))
    assert said.who == "Nobody needs to act. This may be old: the server is silent: shown is what was known at noon."


def test_what_is_at_work() -> None:
    assert [(words, str(one.id)) for words, one in at_work(view(*WORKING, owner="p"))] == [
        ("coder works on", "code/1.1")
    ]
    assert [(words, str(one.id)) for words, one in at_work(view(*SECOND, owner="p"))] == [("gates judge", "code/1.2")]
    assert list(at_work(view(*ASKED))) == []


def rejected(*messages: str) -> tuple[Event, ...]:
    first = VerdictGiven(ONE, "code/test", 1, FAILED, (Finding("t", messages[0], file="a.py", line=3),))
    second = VerdictGiven(TWO, "code/test", 1, FAILED, (Finding("t", messages[1], file="a.py", line=3),))
    return (
        *REJECTED[:-2], first, CandidateRejected(ONE, "t1", "told", "p"),
        *SECOND[-2:], verdict("scope", attempt=TWO), second, CandidateRejected(TWO, "t2", "told", "p"),
    )  # fmt: skip


def test_why_names_the_gate_and_says_whether_it_is_new() -> None:
    (same,) = whys(view(*rejected("a.py:3: x is 1", "a.py:3: x is 2")))
    assert (same.gate, same.message, same.repeated) == ("test", "x is 2", "the same in the last 2 attempts")
    assert same.attempt is not None
    assert str(same.attempt.id) == "code/1.2"
    (new,) = whys(view(*rejected("one thing", "another thing")))
    assert new.repeated == "new in this attempt"
    (first,) = whys(view(*REJECTED))
    assert first.repeated == ""


def test_why_is_one_line_and_the_rest_is_kept_as_it_was() -> None:
    trace = "a.py:3: it failed\n  File a.py\n    x = 1\nValueError: no"
    (why,) = whys(view(*rejected("one", trace)))
    assert (why.message, why.rest) == ("it failed", trace)
    (long,) = whys(view(*rejected("one", "long " * 30)))
    assert long.rest.strip() == long.message
    (short,) = whys(view(*rejected("one", "it failed")))
    assert (short.message, short.rest) == ("it failed", "")


def test_what_the_branch_has_is_said() -> None:
    assert delivered(series=False) == "one commit on the base: the accepted work without the documents"
    assert delivered(series=True) == "a commit for each handoff"


def test_a_run_that_stopped_names_the_gate_that_stopped_it() -> None:
    red = [
        VerdictGiven(base_of("code"), f"code/{gate}", 1, FAILED, (Finding("x", gate),)) for gate in ("scope", "test")
    ]
    why = "gate code/test must be green on the base: test"
    stopped = view(*WORKING[:1], *red, RunFinished(RunStatus.STOPPED, why))
    assert [one.gate for one in whys(stopped)] == ["test"]
    assert [one.gate for one in whys(replace(stopped, why="unknown"))] == ["scope", "test"]


def test_what_was_caught_is_folded_and_counted() -> None:
    (both,) = caught(view(*rejected("x is 1", "x is 2")))
    assert ([str(one.id) for one in both.attempts], both.gates, both.file, both.line, both.message) == (
        ["code/1.1", "code/1.2"], ("code/test",), "a.py", 3, "x is 2",
    )  # fmt: skip
    assert [str(one.newest.id) for one in caught(view(*rejected("one", "other")))] == ["code/1.2", "code/1.1"]


def test_the_verdicts_of_an_attempt_are_the_newest_of_each_gate() -> None:
    (found,) = checks(view(*ASKED), "code/1.1")
    assert ([one.gate for one in found.verdicts], found.passed) == (["code/scope", "code/test"], 2)


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (LimitUsage("attempts", 8, 30, near=False), "8 of 30 attempts"),
        (LimitUsage("tokens", 89_300, 200_000, near=False), "89.3k of 200.0k tokens"),
        (LimitUsage("code.cost_usd", 0.42, 5, near=False), "code: $0.42 of $5.00"),
        (LimitUsage("wall", 90, 3600, near=False), "1 min 30 s of 1 h 0 min of agents and gates"),
    ],
)
def test_limits_in_words(amount: LimitUsage, words: str) -> None:
    assert limit_words(amount) == words


def test_an_attempt_that_began_is_told_and_not_how_long_it_worked_after_a_process_was_killed() -> None:
    shown = view(*WORKING, owner="me")
    assert begun(shown) == "1 attempt began"
    assert begun(replace(shown, spent=replace(shown.spent, attempts=2))) == "1 more began"
    assert begun(view(*REJECTED)) == ""
    (made,) = [one for stage in shown.stages for one in stage.attempts if one.phase == "working"]
    start = made.started_at
    assert worked(made, shown, start + 146) == "2 min 26 s"
    assert worked(made, replace(shown, unowned=((start - 9, start),)), start + 146) == "2 min 26 s"
    assert worked(made, replace(shown, unowned=((start, start + 90),)), start + 146) == "at most 2 min 26 s"
