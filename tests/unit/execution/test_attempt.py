"""Attempts against ports that keep every call: what each of them is asked, and which event comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.execution.recorder import NOW, Scene, Stopper

from interlock.core import pipeline
from interlock.core.effects import Remaining, StartAttempt
from interlock.core.events import (
    AttemptErrored,
    AttemptStarted,
    CandidateProduced,
    Finding,
    RunStarted,
    Usage,
)
from interlock.core.ids import AttemptId
from interlock.core.pipeline import (
    AgentSpec,
    Artifact,
    CommandLine,
    Gate,
    GateKind,
    Pipeline,
    Scope,
    Setup,
    Stage,
    Text,
)
from interlock.execution.context import Context
from interlock.execution.rehearsal import encode_rehearsal
from interlock.ports import (
    Brief,
    Cancelled,
    Candidate,
    Change,
    Checkout,
    CheckoutSpec,
    Ended,
    Fenced,
    InfrastructureError,
    Outcome,
    Stamp,
    UnfitTree,
    UsageError,
)

ROOT = Path("/places/1")
PLACE = Checkout(ROOT, ROOT / "tree", ROOT / "home", ROOT / "tmp", env=(("VIRTUAL_ENV", "/v"),))
PLAN = Stage("plan", produces=(Artifact("plan", "plan.md"),), agent="coder")
CODE = Stage(
    "code",
    needs=("plan",),
    agent="coder",
    brief=Text("{{ prompt }}{% if resumed %} again{% endif %}"),
    instructions=(),
    gates=(Gate("test", GateKind.RUN, CommandLine(("make", "test"))),),
    env=("LANGUAGE",),
    secrets=("TOKEN",),
    dir="web",
    timeout_s=70,
    idle_timeout_s=7,
    scope=Scope(writes=("web/**",)),
)
SCRIPT = Stage("script", command=CommandLine(shell="make all"), env=("LANGUAGE", "UNSET"), digest="its definition")
CODER = AgentSpec("coder", "command", model="large", env=("EDITOR",), secrets=("KEY",))
SETUP = (Setup(CommandLine(("make", "setup"))),)
PIPELINE = Pipeline("p", (PLAN, CODE, SCRIPT, Stage("join", ("code",))), (CODER,), setup=SETUP, carry=(".env",))
ENVIRON = {
    "LANGUAGE": "ko", "TOKEN": "a-long-token", "KEY": "a-long-key", "EDITOR": "vi", "HOME": "/home/ann", "OTHER": "x",
}  # fmt: skip
STARTED = RunStarted("r1", "p", "digest", "Mend it.", "base", "base tree", (), inputs=(("level", "3"),))
CONTEXT = Context("r1", PIPELINE, STARTED, 10.0, ENVIRON, 2.0)
ID = AttemptId("code", 2, 3)
EFFECT = StartAttempt(ID, "coder", "input", "input tree")
SCRIPTED = StartAttempt(AttemptId("script", 1, 1), "", "input", "input tree")
DONE = Outcome(Ended.COMPLETED, "done")
MADE = Candidate("made", "made tree", ("a.pyc", "b.pyc"))
STAMP = Stamp("interlock: code/2.3 by coder\n\nBy: coder\nRun: r1", 1_000)
SPEC = CheckoutSpec(SETUP, (".env",), base="base")
REF = "refs/interlock/r1/code/2.3"


def with_stage(**changes: Any) -> Context:
    stages = (PLAN, replace(CODE, **changes), SCRIPT)
    return replace(CONTEXT, pipeline=replace(PIPELINE, stages=stages, _by_id={}))


def scene_of(work: Any = DONE, **answers: Any) -> Scene:
    usual = {"open": PLACE, "snapshot": MADE, "wipe": None, "read": None, "changes": (), "has": True}
    return Scene(**{**usual, "work": work, **answers})


def names(scene: Scene) -> list[str]:
    return [call[0] for call in scene.calls]


def test_an_agent_works_in_a_checkout_of_the_input_and_a_candidate_is_made_of_it() -> None:
    scene = scene_of()
    session = scene.blobs.put(b"a session")
    scene.blobs.path = lambda digest: Path(f"/blobs/{digest}")  # type: ignore[method-assign]
    effect = replace(
        EFFECT, sides=(("a", "ca"), ("b", "cb")), conflicts=("x",), session=session, remaining=Remaining(5, 6.0)
    )
    assert scene.perform(CONTEXT, effect) == [
        AttemptStarted(ID, "coder", "large", "input tree"),
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
        session=Path(f"/blobs/{session}"),
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
        ("removal_failures",),
    ]


def test_an_agent_without_a_session_is_given_none() -> None:
    scene = scene_of()
    scene.perform(CONTEXT, EFFECT)
    brief = next(call[2] for call in scene.calls if call[0] == "work")
    assert (brief.session, brief.resumed, brief.text) == (None, "", "Mend it.\n")


def test_a_claim_that_is_refused_begins_nothing() -> None:
    scene = scene_of()
    assert scene.perform(CONTEXT, EFFECT, recorded=False) == [AttemptStarted(ID, "coder", "large", "input tree")]
    assert scene.calls == []


@pytest.mark.parametrize("held", [0, 1, 2])
def test_who_no_longer_owns_the_run_says_nothing_and_leaves_nothing(held: int) -> None:
    """The fence is looked at before the effect, before the work and after it."""
    scene = scene_of()
    scene.fence = [True] * held + [False]
    with pytest.raises(Fenced, match="run r1 has another owner"):
        scene.perform(CONTEXT, EFFECT)
    assert names(scene).count("open") == names(scene).count("wipe") == (1 if held == 2 else 0)
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


GONE_EVENT = replace(ERRORED, why="unavailable: gone: ***", permanent=True)
WORKED = AttemptErrored(ID, "rate limited", NOW + 32.0, quota=True, worked=True)


@pytest.mark.parametrize(
    ("outcome", "answers", "event"),
    [
        (Outcome(Ended.REFUSED), {}, replace(PRODUCED, outcome="refused")),
        (Outcome(Ended.CRASHED), {}, replace(PRODUCED, outcome="crashed")),
        (Outcome(Ended.TIMED_OUT), {}, replace(PRODUCED, outcome="timed_out")),
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
        (DONE, {"open": UNFIT}, replace(ERRORED, why="crashed: what it left cannot be taken: a device: tmp/***")),
        (UsageError("no such model"), {}, replace(ERRORED, why="unavailable: no such model", permanent=True)),
        (Outcome(Ended.COMPLETED, "x" * 2_001), {}, replace(PRODUCED, claim="x" * 2_000)),
        (Outcome(Ended.UNAVAILABLE, "x" * 2_001), {}, replace(ERRORED, why="unavailable: " + "x" * 2_000)),
    ],
)  # fmt: skip
def test_the_way_it_ended_decides_the_event(
    outcome: Outcome | Exception, answers: dict[str, Any], event: CandidateProduced | AttemptErrored
) -> None:
    scene = scene_of(outcome, **answers)
    assert scene.perform(CONTEXT, EFFECT)[1:] == [event]
    worked, opened = "work" in names(scene), "open" not in answers
    assert (worked, "wipe" in names(scene)) == (opened, opened)
    if isinstance(outcome, Outcome) and outcome.ended in (Ended.RATE_LIMITED, Ended.UNAVAILABLE, Ended.OUT_OF_BUDGET):
        assert "snapshot" not in names(scene)


def test_a_retry_waits_longer_with_each_error_before_it() -> None:
    [_, errored] = scene_of(Outcome(Ended.UNAVAILABLE)).perform(CONTEXT, replace(EFFECT, errors=2))
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
    scene = scene_of(outcome, removal_failures=("cannot remove x",))
    [_, event] = scene.perform(CONTEXT, EFFECT)
    assert isinstance(event, CandidateProduced | AttemptErrored)
    assert [(item.name, scene.blobs.get(item.digest), item.size) for item in event.evidence] == [
        ("brief", b"do \xff", 4),
        ("log", b"it ran", 6),
        ("session", b"its session", 11),
    ]
    assert (event.usage, event.notes) == (usage, ("it retried", "cannot remove x"))


@pytest.mark.parametrize("ended", [Ended.COMPLETED, Ended.UNAVAILABLE])
def test_work_counts_where_its_log_cannot_be_kept(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_of(Outcome(ended, sent_brief="do it", notes=("it retried",)))

    def full(_: bytes) -> str:
        raise OSError("the disk is full")

    monkeypatch.setattr(scene.blobs, "put", full)
    [_, event] = scene.perform(CONTEXT, EFFECT)
    assert isinstance(event, CandidateProduced | AttemptErrored)
    assert (event.evidence, event.notes) == ((), ("it retried", "the disk is full"))


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
    [_, event] = scene.perform(CONTEXT, EFFECT)
    assert isinstance(event, CandidateProduced) is made
    assert scene.cancel.waits == waits
    assert names(scene).count("work") == 1
    assert {call for call in scene.calls if call[0] == "snapshot"} == {("snapshot", PLACE, "input", SPEC, STAMP, REF)}


# --- candidates that nobody works for -----------------------------------------------------------


def test_the_work_of_a_person_is_adopted() -> None:
    scene = scene_of(adopt=Candidate("adopted", "its tree"))
    assert scene.perform(CONTEXT, replace(EFFECT, source="theirs", by="ann")) == [
        AttemptStarted(ID, "coder", "large", "input tree", "ann"),
        CandidateProduced(ID, "adopted", "its tree"),
    ]
    stamp = Stamp("interlock: code/2.3 by ann\n\nBy: ann\nRun: r1", 1_000)
    assert scene.calls == [("adopt", "theirs", "input", stamp, REF), ("removal_failures",)]


def test_the_candidate_of_a_stage_without_a_worker_is_its_input() -> None:
    scene, attempt = scene_of(), AttemptId("join", 1, 1)
    assert scene.perform(CONTEXT, StartAttempt(attempt, "", "input", "input tree")) == [
        AttemptStarted(attempt, "", "", "input tree"),
        CandidateProduced(attempt, "input", "input tree"),
    ]
    assert names(scene) == ["removal_failures"]


def script_key(scene: Scene) -> str | None:
    return scene.journal.recall("script-key", "made")


def test_a_script_is_run_as_an_agent_and_its_result_is_known_under_a_key() -> None:
    scene = scene_of()
    scene.perform(CONTEXT, SCRIPTED)
    [work] = [call for call in scene.calls if call[0] == "work"]
    assert work[1] == AgentSpec("script", "command", SCRIPT.command)
    assert (work[2].text, work[2].rehearsal, work[2].env["LANGUAGE"]) == ("", "", "ko")
    key = script_key(scene)
    assert key is not None
    scene.journal.remember("script", key, "known")
    scene.calls.clear()
    scene.world.workspaces.answers["adopt"] = Candidate("adopted", "its tree")  # type: ignore[attr-defined]
    [_, event] = scene.perform(CONTEXT, SCRIPTED)
    assert event == CandidateProduced(SCRIPTED.attempt, "adopted", "its tree", cached=True)
    stamp = Stamp("interlock: script/1.1 by script\n\nBy: script\nRun: r1", 1_000)
    ref = "refs/interlock/r1/script/1.1"
    assert scene.calls == [("has", "known"), ("adopt", "known", "input", stamp, ref), ("removal_failures",)]
    scene.world.workspaces.answers["has"] = False  # type: ignore[attr-defined]
    assert scene.perform(CONTEXT, SCRIPTED)[1] == CandidateProduced(
        SCRIPTED.attempt, "made", "made tree", "done", left_out=2
    )


@pytest.mark.parametrize("ended", [Ended.CRASHED, Ended.TIMED_OUT, Ended.REFUSED])
def test_a_script_that_fails_makes_no_candidate(ended: Ended) -> None:
    scene = scene_of(Outcome(ended))
    [_, event] = scene.perform(CONTEXT, SCRIPTED)
    assert isinstance(event, AttemptErrored)
    assert "snapshot" not in names(scene)
    assert script_key(scene) is None


def test_the_work_of_an_agent_is_known_under_no_key() -> None:
    scene = scene_of()
    scene.perform(CONTEXT, EFFECT)
    assert script_key(scene) is None


def test_the_key_of_a_script_hangs_on_all_that_it_sees_and_on_nothing_else() -> None:
    def key(context: Context = CONTEXT, effect: StartAttempt = SCRIPTED) -> str | None:
        scene = scene_of()
        scene.perform(context, effect)
        return script_key(scene)

    def environ(**changes: str) -> Context:
        return replace(CONTEXT, environ={**ENVIRON, **changes})

    other = replace(PIPELINE, stages=(replace(SCRIPT, digest="another definition"),), _by_id={})
    assert key() == key(environ(OTHER="y")) == key(environ(UNSET=""))
    assert key() == key(effect=replace(SCRIPTED, attempt=AttemptId("script", 2, 2), input_commit="other"))
    others = [
        key(environ(LANGUAGE="pt")),
        key(environ(UNSET="now set")),
        key(effect=replace(SCRIPTED, input_tree="other tree")),
        key(replace(CONTEXT, started=replace(STARTED, task="Mend more."))),
        key(replace(CONTEXT, started=replace(STARTED, inputs=(("level", "4"),)))),
        key(replace(CONTEXT, pipeline=other)),
    ]
    assert len({key(), *others}) == 1 + len(others)


# --- work that is gone on with ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "put_back"),
    [
        (Scope(), ("!.interlock/artifacts/code/**",)),
        (
            Scope(writes=("src/**",), protect=("tests/**", "!tests/new/**"), authors=("setup.cfg",)),
            ("**", "!src/**", "tests/**", "!setup.cfg", "!.interlock/artifacts/code/**"),
        ),
        (Scope(protect=("tests/**", "!tests/new/**")), ("tests/**", "!tests/new/**", "!.interlock/artifacts/code/**")),
        (
            Scope(adds=("tests/*.py",)),
            ("!tests/*.py", "!.interlock/artifacts/code/**", "/tests/a?b?.py", "/tests/test_changed.py"),
        ),
    ],
)
def test_what_is_not_its_own_is_put_back_where_work_goes_on(scope: Scope, put_back: tuple[str, ...]) -> None:
    there = {"tests/test_grown.py": b"def test_a():\n    pass\n", "tests/test_changed.py": b"def test_a():\n    pass\n"}
    changed = {
        "tests/test_grown.py": there["tests/test_grown.py"] + b"\n\ndef test_b():\n    pass\n",
        "tests/test_changed.py": b"def test_a():\n    return\n",
    }
    scene = scene_of(
        restore="overlay",
        changes=[tuple(Change(path, "M", "100644", "100644") for path in there), ()],
        files=("tests/a[b].py", *there),
        read=lambda commit, path, *_, **__: {"input": there, "theirs": changed}[commit].get(path),
    )
    if not scope.adds:
        scene.answers["changes"] = ()
    gate = Gate("test", GateKind.RUN, CommandLine(("pytest",)), tests=pipeline.Tests.BASE, used="python.test")
    scene.perform(with_stage(scope=scope, gates=(gate,), needs=()), replace(EFFECT, source="theirs"))
    assert [call for call in scene.calls if call[0] in ("restore", "open")] == [
        ("restore", "theirs", "input", put_back, STAMP),
        ("open", "r1", ID, "input", SPEC, {"overlay": "overlay"}),
    ]
    files = [("files", "input", scope.adds)] if scope.adds else []
    assert [call for call in scene.calls if call[0] == "files"] == files
