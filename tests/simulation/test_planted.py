"""One planted bug for each promise: the oracle sees it within a few hundred seeds, or it proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
from tests.simulation import campaign
from tests.simulation.campaign import shrink, tell
from tests.simulation.chance import Scenario
from tests.simulation.simulate import OwnersFate, simulate
from tests.simulation.world import SimWorkspaces

import interlock.core.admission as admission
import interlock.core.attempts as attempts
import interlock.core.fold as fold
import interlock.core.judging as judging
import interlock.core.plan as plan
import interlock.core.state as state
import interlock.engines.local as local
from interlock.core.effects import StartAttempt
from interlock.core.events import AttemptStarted
from interlock.core.state import Phase

SEEDS = 400

Plant = Callable[[pytest.MonkeyPatch], None]


def merges_are_not_judged(patch: pytest.MonkeyPatch) -> None:
    for module in (judging, plan):
        patch.setattr(module, "inherited_gates", lambda *_: ())


def a_gate_that_says_no_is_not_heard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan, "failed", lambda _: ())


def reports_of_the_dead_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(admission, "_admit_newest", lambda *_: "")


def an_attempt_is_done_again_by_the_next_owner(patch: pytest.MonkeyPatch) -> None:
    """The claim of the former owner is taken for one's own."""
    patch.setattr(fold, "_orphaned", lambda stages: stages)
    patch.setattr(admission, "_admit_claim", lambda *_: "")
    again = {**state.TRANSITIONS, (Phase.WORKING, AttemptStarted): Phase.WORKING}
    patch.setattr(state, "TRANSITIONS", again)


def every_attempt_goes_on_from_the_rejected_one(patch: pytest.MonkeyPatch) -> None:
    honest = attempts.attempt_command

    def effect(pipeline, run, stage, attempt, agent) -> StartAttempt:
        rejections = run.stages[stage.id].rejections
        due = honest(pipeline, run, stage, attempt, agent)
        return replace(due, source=rejections[-1].commit) if rejections and not due.by else due

    for module in (attempts, plan):
        patch.setattr(module, "attempt_command", effect)


def loops_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    honest = fold._send_back
    patch.setattr(fold, "_send_back", lambda run, event: replace(honest(run, event), loops={}))


def who_cancels_is_not_asked_before_the_branch_is_made(patch: pytest.MonkeyPatch) -> None:
    honest = admission._admit_delivery
    patch.setattr(admission, "_admit_delivery", lambda run, event: honest(replace(run, cancelled_by=""), event))


def a_former_owner_delivers(patch: pytest.MonkeyPatch) -> None:
    """The fence is looked at before, and not held while the branch is made."""
    patch.setattr(OwnersFate, "alone", lambda _: nullcontext())


def a_delivery_is_recorded_and_never_made(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimWorkspaces, "create_branch", lambda *_: None)


def the_engine_begins_what_is_no_longer_wanted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(local, "InFlight", partial(local.InFlight, begun=True))


PLANTED: tuple[tuple[str, Plant], ...] = (
    ("S1", merges_are_not_judged),
    ("S2", a_gate_that_says_no_is_not_heard),
    ("S4", reports_of_the_dead_count),
    ("S6", an_attempt_is_done_again_by_the_next_owner),
    ("S7", every_attempt_goes_on_from_the_rejected_one),
    ("L1", loops_are_not_counted),
    ("S4", who_cancels_is_not_asked_before_the_branch_is_made),
    ("S4", a_former_owner_delivers),
    ("S6", a_delivery_is_recorded_and_never_made),
    ("S6", the_engine_begins_what_is_no_longer_wanted),
)


@pytest.mark.parametrize(("promise", "plant"), PLANTED, ids=[f"{name}-{plant.__name__}" for name, plant in PLANTED])
def test_a_planted_bug_is_caught(promise: str, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert _first_breach(promise) is not None


def test_a_failure_is_shrunk_and_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "NEIGHBOURS", 8)
    merges_are_not_judged(monkeypatch)
    found = _first_breach("S1")
    assert found is not None
    least = shrink(found)
    assert least.violation is not None
    assert least.violation.promise == "S1"
    assert len(least.history) <= len(simulate(found).history)
    told = tell(least)
    assert f"seed {least.scenario.seed}" in told
    assert "RunStarted" in told


def _first_breach(promise: str) -> Scenario | None:
    for seed in range(SEEDS):
        result = simulate(Scenario(seed))
        if result.violation is not None and result.violation.promise == promise:
            return result.scenario
    return None
