"""Candidates that no agent makes in a new checkout: of people, of scripts, and of work that goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.execution.attempts import (
    CONTEXT,
    EFFECT,
    ENVIRON,
    ID,
    PIPELINE,
    REF,
    SCRIPT,
    SCRIPTED,
    SPEC,
    STAMP,
    STARTED,
    names,
    scene_of,
    with_stage,
)
from tests.unit.execution.recorder import Scene

from interlock.core import pipeline
from interlock.core.effects import StartAttempt
from interlock.core.events import (
    AttemptErrored,
    CandidateProduced,
)
from interlock.core.ids import AttemptId
from interlock.core.pipeline import (
    AgentSpec,
    CommandLine,
    Gate,
    GateKind,
    Scope,
)
from interlock.execution.context import Context
from interlock.ports import (
    Candidate,
    Change,
    Ended,
    Outcome,
    Stamp,
)


def test_the_work_of_a_person_is_adopted() -> None:
    scene = scene_of(adopt=Candidate("adopted", "its tree"))
    assert scene.perform(CONTEXT, replace(EFFECT, source="theirs", by="ann")) == [
        CandidateProduced(ID, "adopted", "its tree"),
    ]
    stamp = Stamp("interlock: code/2.3 by ann\n\nBy: ann\nRun: r1", 1_000)
    assert scene.calls == [("adopt", "theirs", "input", stamp, REF), ("removal_notes",)]


def test_the_candidate_of_a_stage_without_a_worker_is_its_input() -> None:
    scene, attempt = scene_of(), AttemptId("join", 1, 1)
    assert scene.perform(CONTEXT, StartAttempt(attempt, "", "input", "input tree")) == [
        CandidateProduced(attempt, "input", "input tree"),
    ]
    assert names(scene) == ["removal_notes"]


def script_key(scene: Scene) -> str | None:
    return scene.cache.recall("script-key", "made")


def test_a_script_is_run_as_an_agent_and_its_result_is_known_under_a_key() -> None:
    scene = scene_of()
    scene.perform(CONTEXT, SCRIPTED)
    [work] = [call for call in scene.calls if call[0] == "work"]
    assert work[1] == AgentSpec("script", "command", SCRIPT.command)
    assert (work[2].text, work[2].rehearsal, work[2].env["LANGUAGE"]) == ("", "", "ko")
    key = script_key(scene)
    assert key is not None
    scene.cache.remember("script", key, "known")
    scene.calls.clear()
    scene.world.workspaces.answers["adopt"] = Candidate("adopted", "its tree")  # type: ignore[attr-defined]
    [event] = scene.perform(CONTEXT, SCRIPTED)
    assert event == CandidateProduced(SCRIPTED.attempt, "adopted", "its tree", cached=True)
    stamp = Stamp("interlock: script/1.1 by script\n\nBy: script\nRun: r1", 1_000)
    ref = "refs/interlock/r1/script/1.1"
    assert scene.calls == [("has", "known"), ("adopt", "known", "input", stamp, ref), ("removal_notes",)]
    scene.world.workspaces.answers["has"] = False  # type: ignore[attr-defined]
    assert scene.perform(CONTEXT, SCRIPTED) == [
        CandidateProduced(SCRIPTED.attempt, "made", "made tree", "done", left_out=2)
    ]


@pytest.mark.parametrize("ended", [Ended.CRASHED, Ended.TIMED_OUT, Ended.REFUSED])
def test_a_script_that_fails_makes_no_candidate(ended: Ended) -> None:
    scene = scene_of(Outcome(ended))
    [event] = scene.perform(CONTEXT, SCRIPTED)
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


# --- work that goes on ---------------------------------------------------------------------------


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
