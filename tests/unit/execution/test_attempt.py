"""Attempts against ports that keep every call: what each of them is asked, and which event comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.execution.attempts import (
    CODE,
    CODER,
    CONTEXT,
    DONE,
    EFFECT,
    ID,
    MADE,
    PLACE,
    REF,
    SPEC,
    STAMP,
    names,
    scene_of,
)
from tests.unit.execution.recorder import NOW, Scene, Stopper

from interlock.core.effects import Remaining
from interlock.core.events import (
    AttemptErrored,
    CandidateProduced,
    Finding,
    Usage,
)
from interlock.execution.rehearsal import encode_rehearsal
from interlock.ports import (
    RESUME,
    Brief,
    Cancelled,
    Candidate,
    Ended,
    Fenced,
    InfrastructureError,
    Outcome,
    UnfitTree,
    UsageError,
)


def test_an_agent_works_in_a_checkout_of_the_input_and_a_candidate_is_made_of_it() -> None:
    scene = scene_of()
    session = scene.blobs.put(b"a session")
    effect = replace(
        EFFECT, sides=(("a", "ca"), ("b", "cb")), conflicts=("x",), session=session, remaining=Remaining(5, 6.0)
    )
    assert scene.perform(CONTEXT, effect) == [
        CandidateProduced(ID, "made", "made tree", "done", "completed", left_out=2),
    ]
    calls = [call for call in scene.calls if call[0] not in ("read", "changes")]
    brief = Brief(
        run="r1",
        attempt=ID,
        text="Mend it.\n",
        task="Mend it.",
        model="large",
        env={
            "LANGUAGE": "ko",
            "TOKEN": "a-long-token",
            "KEY": "a-long-key",
            "EDITOR": "vi",
            "VIRTUAL_ENV": "/v",
            "ARTIFACTS": "/places/1/tree/.interlock/artifacts/code",
            "INTERLOCK_RUN": "r1",
            "TASK": "Mend it.",
            "INPUT_LEVEL": "3",
            "ARTIFACT_PLAN_PLAN": "/places/1/tree/.interlock/artifacts/plan/plan.md",
            "HOME": "/places/1/home",
            "TMPDIR": "/places/1/tmp",
        },
        timeout_s=70,
        idle_timeout_s=7,
        dir="web",
        session=b"a session",
        resumed="Mend it. again\n",
        remaining=Remaining(5, 6.0),
        scope=CODE.scope,
        secrets=("a-long-token", "a-long-key"),
        rehearsal=encode_rehearsal(CONTEXT, CODE, effect),
    )
    got = calls[1][2]
    assert {**got.env, **brief.env} == got.env
    assert set(got.env) - set(brief.env) <= {"PATH", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "SHELL", "TERM"}
    assert replace(got, env=brief.env, secrets=tuple(sorted(got.secrets))) == replace(
        brief, secrets=tuple(sorted(brief.secrets))
    )
    assert calls == [
        ("open", "r1", ID, "input", replace(SPEC, sides=effect.sides), {"overlay": ""}),
        ("work", CODER, got, PLACE, scene.cancel),
        ("snapshot", PLACE, "input", SPEC, STAMP, REF),
        ("wipe", PLACE),
        ("removal_notes",),
    ]


@pytest.mark.parametrize("session", ["", "0" * 64], ids=["none", "gone"])
def test_an_agent_without_a_session_is_given_none(session: str) -> None:
    scene = scene_of()
    scene.perform(CONTEXT, replace(EFFECT, session=session))
    brief = next(call[2] for call in scene.calls if call[0] == "work")
    assert (brief.session, brief.resumed, brief.text) == (b"", "", "Mend it.\n")


@pytest.mark.parametrize("held", [0, 1])
def test_who_no_longer_owns_the_run_says_nothing_and_leaves_nothing(held: int) -> None:
    """The fence is looked at before the work and after it."""
    scene = scene_of()
    scene.fence = [True] * held + [False]
    with pytest.raises(Fenced, match="run r1 is controlled by another process"):
        scene.perform(CONTEXT, EFFECT)
    assert names(scene).count("open") == names(scene).count("wipe") == held
    assert "snapshot" not in names(scene)


@pytest.mark.parametrize("ended", [Ended.COMPLETED, Ended.CANCELLED])
def test_what_is_no_longer_wanted_makes_no_candidate(ended: Ended) -> None:
    scene = scene_of(Outcome(ended))
    scene.cancel = Stopper(is_set=ended is Ended.COMPLETED)
    with pytest.raises(Cancelled, match=r"code/2\.3 is no longer wanted"):
        scene.perform(CONTEXT, EFFECT)
    assert names(scene)[-2:] == ["work", "wipe"]


FINDING = Finding("device", "a device: tmp/a-long-token", file="a-long-token.txt")
UNFIT = UnfitTree((FINDING,))
MASKED = replace(FINDING, message="a device: tmp/***", file="***.txt")
LOST = InfrastructureError("no room")
GONE = InfrastructureError("gone: a-long-key", permanent=True)
SAME = Candidate("same", "input tree")
PRODUCED = CandidateProduced(ID, "made", "made tree", left_out=2)
ERRORED = AttemptErrored(ID, "", NOW + 2.0)


OVER_LIMIT = CandidateProduced(
    ID, "input", "input tree", "too much", "over_limit", unfit=(Finding("limit", "too much"),)
)
GONE_EVENT = replace(ERRORED, why="unavailable: gone: ***", permanent=True)
WORKED = AttemptErrored(ID, "rate limited", NOW + 32.0, quota=True, worked=True)


@pytest.mark.parametrize(
    ("outcome", "answers", "event"),
    [
        (Outcome(Ended.REFUSED), {}, replace(PRODUCED, outcome="refused")),
        (Outcome(Ended.CRASHED), {}, replace(PRODUCED, outcome="crashed")),
        (Outcome(Ended.TIMED_OUT), {}, replace(PRODUCED, outcome="timed_out")),
        (Outcome(Ended.OVER_LIMIT, "too much"), {"snapshot": LOST}, OVER_LIMIT),
        (DONE, {"snapshot": SAME}, CandidateProduced(ID, "same", "input tree", "done")),
        (Outcome(Ended.REFUSED), {"snapshot": SAME}, CandidateProduced(ID, "same", "input tree", "", "refused")),
        (Outcome(Ended.CRASHED, "no"), {"snapshot": SAME}, replace(ERRORED, why="crashed: no")),
        (Outcome(Ended.TIMED_OUT), {"snapshot": SAME}, replace(ERRORED, why="timed out")),
        (Outcome(Ended.UNAVAILABLE, "x", permanent=True), {}, replace(ERRORED, why="unavailable: x", permanent=True)),
        (Outcome(Ended.OUT_OF_BUDGET, "no"), {}, replace(ERRORED, why="out of budget: no")),
        (Outcome(Ended.RATE_LIMITED), {}, AttemptErrored(ID, "rate limited", NOW + 32.0, quota=True)),
        (Outcome(Ended.RATE_LIMITED, retry_at=NOW + 9), {}, AttemptErrored(ID, "rate limited", NOW + 9, quota=True)),
        (Outcome(Ended.RATE_LIMITED, worked=True), {}, WORKED),
        (Outcome(Ended.UNAVAILABLE, worked=True), {}, replace(ERRORED, why="unavailable")),
        (DONE, {"snapshot": UNFIT}, CandidateProduced(ID, "input", "input tree", "done", unfit=(MASKED,))),
        (replace(DONE, retry_at=NOW + 9), {"snapshot": GONE}, GONE_EVENT),
        (replace(DONE, permanent=True), {"snapshot": LOST}, replace(ERRORED, why="unavailable: no room")),
        (DONE, {"open": LOST}, replace(ERRORED, why="unavailable: no room")),
        (DONE, {"open": GONE}, GONE_EVENT),
        (DONE, {"open": OSError("broken")}, replace(ERRORED, why="unavailable: broken")),
        (DONE, {"open": UNFIT}, replace(ERRORED, why="crashed: its work cannot be used: a device: tmp/***")),
        (UsageError("no such model"), {}, replace(ERRORED, why="unavailable: no such model", permanent=True)),
        (Outcome(Ended.COMPLETED, "x" * 2_001), {}, replace(PRODUCED, claim="x" * 2_000)),
        (Outcome(Ended.UNAVAILABLE, "x" * 2_001), {}, replace(ERRORED, why="unavailable: " + "x" * 2_000)),
    ],
)  # fmt: skip
def test_the_way_it_ended_decides_the_event(
    outcome: Outcome | Exception, answers: dict[str, Any], event: CandidateProduced | AttemptErrored
) -> None:
    scene = scene_of(outcome, **answers)
    assert scene.perform(CONTEXT, EFFECT) == [event]
    worked, opened = "work" in names(scene), "open" not in answers
    assert (worked, "wipe" in names(scene)) == (opened, opened)
    if isinstance(outcome, Outcome) and outcome.ended in (Ended.RATE_LIMITED, Ended.UNAVAILABLE, Ended.OUT_OF_BUDGET):
        assert "snapshot" not in names(scene)


def test_a_retry_waits_longer_with_each_error_before_it() -> None:
    [errored] = scene_of(Outcome(Ended.UNAVAILABLE)).perform(CONTEXT, replace(EFFECT, errors=2))
    assert isinstance(errored, AttemptErrored)
    assert errored.retry_at == NOW + 32.0


@pytest.mark.parametrize("ended", [Ended.COMPLETED, Ended.UNAVAILABLE])
def test_what_it_used_and_left_behind_is_kept_either_way(ended: Ended, tmp_path: Path) -> None:
    log, session = tmp_path / "log", tmp_path / "session"
    log.write_text("it ran")
    session.write_text("its session")
    usage = Usage(1, 2, 3, 4.0)
    outcome = Outcome(
        ended, usage=usage, log=log, transcript=tmp_path / "none", kept_session=session, sent_brief="do \udcff",
        notes=("it retried",),
    )  # fmt: skip
    scene = scene_of(outcome, removal_notes=("cannot remove x",))
    [event] = scene.perform(CONTEXT, EFFECT)
    assert isinstance(event, CandidateProduced | AttemptErrored)
    assert [(item.name, scene.blobs.get(item.digest), item.size) for item in event.evidence] == [
        ("brief", b"do \xff", 4),
        ("log", b"it ran", 6),
        ("session", b"its session", 11),
    ]
    assert (event.usage, event.notes) == (usage, ("it retried", "cannot remove x"))


@pytest.mark.parametrize("ended", [Ended.COMPLETED, Ended.UNAVAILABLE])
@pytest.mark.parametrize("error", [OSError("the disk is full"), UsageError("its log is a link")], ids=str)
def test_work_counts_where_its_log_cannot_be_kept(
    ended: Ended, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_of(Outcome(ended, sent_brief="do it", notes=("it retried",)))

    def refuse(_: bytes) -> str:
        raise error

    monkeypatch.setattr(scene.blobs, "put", refuse)
    [event] = scene.perform(CONTEXT, EFFECT)
    assert isinstance(event, CandidateProduced) is (ended is Ended.COMPLETED)
    assert isinstance(event, CandidateProduced | AttemptErrored)
    assert (event.evidence, event.notes) == ((), ("it retried", str(error)))


@pytest.mark.parametrize(
    ("failures", "stops_at", "waits", "made"),
    [
        ([LOST], 0, [2.0], True),
        ([LOST, OSError("busy"), LOST], 0, [2.0, 8.0, 32.0], True),
        ([LOST, LOST, LOST, LOST], 0, [2.0, 8.0, 32.0], False),
        ([LOST, LOST], 2, [2.0, 8.0], False),
        ([GONE], 0, [], False),
    ],
)
def test_a_candidate_that_could_not_be_taken_is_taken_again(
    failures: list[Exception], stops_at: int, waits: list[float], made: bool
) -> None:
    scene = scene_of(snapshot=[*failures, MADE])
    scene.cancel = Stopper(stops_at=stops_at)
    [event] = scene.perform(CONTEXT, EFFECT)
    assert isinstance(event, CandidateProduced) is made
    assert scene.cancel.waits == waits
    assert names(scene).count("work") == 1
    assert {call for call in scene.calls if call[0] == "snapshot"} == {("snapshot", PLACE, "input", SPEC, STAMP, REF)}


ELSEWHERE = "7@worker"


def on_a_worker(scene: Scene, *, lacks: str = "") -> Scene:
    scene.world = replace(scene.world, worker=ELSEWHERE, lacks=lambda level: f"no {level} here" if lacks else "")
    return scene


def test_a_candidate_of_a_worker_says_where_it_was_made_and_in_which_sandbox() -> None:
    sandboxed = replace(CONTEXT, sandbox="full")
    [event] = on_a_worker(scene_of()).perform(sandboxed, EFFECT)
    assert (event.worker, event.sandbox) == (ELSEWHERE, "full")
    [event] = on_a_worker(scene_of(Outcome(Ended.UNAVAILABLE, "down"))).perform(sandboxed, EFFECT)
    assert isinstance(event, AttemptErrored)
    assert (event.worker, event.why) == (ELSEWHERE, f"unavailable on {ELSEWHERE}: down")


def test_who_is_to_resume_is_told_to_start_the_worker_again_first() -> None:
    outcome = Outcome(Ended.UNAVAILABLE, f"set A_KEY, {RESUME}", permanent=True)
    [event] = on_a_worker(scene_of(outcome)).perform(CONTEXT, EFFECT)
    assert event.why == f"unavailable on {ELSEWHERE}: set A_KEY, start that worker again, then `interlock resume`"
    [event] = scene_of(outcome).perform(CONTEXT, EFFECT)
    assert event.why == "unavailable: set A_KEY, then `interlock resume`"


def test_no_sandbox_is_told_of_where_no_program_was_started() -> None:
    scene = on_a_worker(scene_of(adopt=MADE))
    [event] = scene.perform(CONTEXT, replace(EFFECT, by="ann", source="hers"))
    assert (event.worker, event.sandbox) == (ELSEWHERE, "")


def test_nothing_is_started_where_the_level_is_not_in_force() -> None:
    scene = on_a_worker(scene_of(), lacks="full")
    [event] = scene.perform(replace(CONTEXT, sandbox="full"), EFFECT)
    assert isinstance(event, AttemptErrored)
    assert event.why == "unavailable: sandbox full is not in force on 7@worker: no full here"
    assert not event.permanent  # another worker may have it
    assert names(scene) == ["removal_notes"]
