"""What a join is made from, and its conflicts in words."""

from __future__ import annotations

from dataclasses import replace

from interlock.core.conflicts import Side, SideChange, Undecided
from interlock.core.effects import Effect, Pause, PrepareInput, StartAttempt
from interlock.core.events import (
    InputPrepared,
    PauseReason,
    Recorded,
    RunStarted,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.facts import passed_on
from interlock.core.fold import fold
from interlock.core.ids import base_of, input_of
from interlock.core.joins import choices, conflict_text, merged_from, sides_of
from interlock.core.pipeline import AgentSpec, Gate, GateKind, Pipeline, Stage
from interlock.core.plan import plan
from interlock.core.stages import Stages
from interlock.core.state import Phase, RunState, StageState

SCOPE = Gate("scope", GateKind.SCOPE)
TEST = Gate("test", GateKind.RUN)
JOIN = Stage("j", needs=("a", "b"), agent="one", gates=(SCOPE,))
SIDES = (Side("a", "ca", SideChange.DELETED), Side("b", "cb", SideChange.CHANGED))
ITEM = Undecided("f", "modify/delete", SIDES, "as b left it")
PREPARED = InputPrepared(input_of("j", 1), "m", "tm", ("ca", "cb"), ("f", "g"), ("a", "b"), (ITEM,))


def settled(**phases: tuple[Phase, str]) -> dict[str, StageState]:
    return {name: StageState(phase=phase, output=(commit, f"t{commit}")) for name, (phase, commit) in phases.items()}


def began() -> RunState:
    return fold([Recorded(1, 1.0, RunStarted("r", "p", "d", "task", "c0", "t0", ("a", "b", "j")))])


def planned(join: Stage, prepared: InputPrepared | None = None) -> list[Effect]:
    stages = settled(a=(Phase.ACCEPTED, "ca"), b=(Phase.ACCEPTED, "cb"))
    stages["j"] = StageState(phase=Phase.READY, input=prepared) if prepared else StageState()
    pipeline = Pipeline("p", (Stage("a", gates=(SCOPE, TEST)), Stage("b"), join), (AgentSpec("one", "command"),))
    base = {"a/test": VerdictGiven(base_of("a"), "a/test", 1, VerdictStatus.PASSED)}
    effects = plan(pipeline, replace(began(), stages=Stages(stages.items()), base_verdicts=base))
    return [each for each in effects if isinstance(each, (PrepareInput, StartAttempt, Pause))]


def names(**phases: tuple[Phase, str]) -> dict[str, str]:
    return dict(merged_from(replace(began(), stages=Stages(settled(**phases).items())), JOIN))


def test_each_source_is_named_by_the_stage_that_made_it() -> None:
    assert names(a=(Phase.ACCEPTED, "ca"), b=(Phase.ACCEPTED, "cb")) == {"ca": "a", "cb": "b"}
    assert names(a=(Phase.SKIPPED, "c"), b=(Phase.ACCEPTED, "c")) == {"c": "b"}
    assert names(a=(Phase.ACCEPTED, "c"), b=(Phase.SKIPPED, "c")) == {"c": "a"}
    assert names(a=(Phase.SKIPPED, "c"), b=(Phase.SKIPPED, "c")) == {"c": "a"}


def test_what_one_need_hands_over_passes_as_it_is() -> None:
    (effect,) = planned(replace(JOIN, needs=("b",)))
    assert effect == PrepareInput(input_of("j", 1), ("cb",), 1, tree="tcb")
    assert passed_on(effect) == InputPrepared(input_of("j", 1), "cb", "tcb", ("cb",))


def test_what_is_merged_is_not_passed_on() -> None:
    (effect,) = planned(JOIN)
    assert isinstance(effect, PrepareInput)
    assert passed_on(effect) is None


def test_names_are_recorded_for_several_sources_only() -> None:
    (effect,) = planned(JOIN)
    assert effect == PrepareInput(input_of("j", 1), ("ca", "cb"), 1, ("a", "b"))


def test_conflicts_are_told_with_kind_and_sides() -> None:
    assert conflict_text(PREPARED) == "conflict in f (modify/delete: a deleted it, b changed it), g"
    old = InputPrepared(input_of("j", 1), "m", "tm", ("ca", "cb"), ("f",))
    assert (conflict_text(old), sides_of(old)) == ("conflict in f", ())


def test_the_choices_are_the_sides_and_what_they_make_possible() -> None:
    assert choices(ITEM) == ("a", "b", "deleted", "edited")
    binary = Undecided("f", "binary", (Side("a", "ca", SideChange.CHANGED), Side("b", "cb", SideChange.CHANGED)))
    assert choices(binary) == ("a", "b", "edited")


def test_the_attempt_is_told_of_conflicts_sides_and_inherited_gates() -> None:
    (effect,) = planned(JOIN, PREPARED)
    assert isinstance(effect, StartAttempt)
    assert (effect.conflicts, effect.undecided) == (("f", "g"), (ITEM,))
    assert effect.sides == (("a", "ca"), ("b", "cb"))
    assert effect.inherited == ("a/test",)


def test_without_a_worker_a_conflict_pauses() -> None:
    (effect,) = planned(Stage("j", needs=("a", "b"), gates=(SCOPE,)), PREPARED)
    assert effect == Pause("j", PauseReason.CONFLICT, conflict_text(PREPARED))


def test_two_gates_that_cannot_decide_pause_the_join_once() -> None:
    verdicts = {
        name: VerdictGiven(input_of("j", 1), name, 1, VerdictStatus.ERRORED, permanent=True)
        for name in ("a/test", "a/lint")
    }
    stages = settled(a=(Phase.ACCEPTED, "ca"), b=(Phase.ACCEPTED, "cb"))
    clean = replace(PREPARED, conflicts=(), undecided=())
    stages["j"] = StageState(phase=Phase.READY, input=clean, input_verdicts=verdicts)
    gates = (SCOPE, TEST, replace(TEST, id="lint"))
    pipeline = Pipeline("p", (Stage("a", gates=gates), Stage("b"), JOIN), (AgentSpec("one", "command"),))
    base = {name: VerdictGiven(base_of("a"), name, 1, VerdictStatus.PASSED) for name in verdicts}
    effects = plan(pipeline, replace(began(), stages=Stages(stages.items()), base_verdicts=base))
    assert [effect.stage for effect in effects if isinstance(effect, Pause)] == ["j"]
