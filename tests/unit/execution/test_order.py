"""Effect first, fact last: what a fact says is there before the fact is given out, and not where the effect failed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from interlock.core.effects import AcceptHandoff, DeliverBranch, RejectCandidate
from interlock.core.events import (
    CandidateRejected,
    Delivered,
    DeliveryBegun,
    EffectErrored,
    Event,
    Finding,
    HandoffAccepted,
    Recorded,
    RunStarted,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Gate, GateKind, Pipeline, Stage
from interlock.execution.attempt import hint
from interlock.execution.context import Context
from interlock.execution.perform import perform
from interlock.journal import MemoryBlobs, MemoryJournal
from interlock.ports import Change, DeliveryRefused, InfrastructureError, World

ATTEMPT = AttemptId("code", 1, 1)
PASSED = VerdictGiven(ATTEMPT, "code/test", 1, VerdictStatus.PASSED)
FAILED = VerdictGiven(ATTEMPT, "code/test", 1, VerdictStatus.FAILED, (Finding("E1", "it is wrong", file="a.py"),))
PIPELINE = Pipeline("p", (Stage("code", gates=(Gate("test", GateKind.RUN),)),))
CONTEXT = Context("r1", PIPELINE, RunStarted("r1", "p", "d", "task", "c0", "t0", ("code",)), 0.0)


class Scene:
    """What was done, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.blobs = MemoryBlobs()
        self.cache = MemoryJournal()
        self.changes: tuple[Change, ...] = ()  # between the commit and the tree of a candidate
        workspaces: Any = SimpleNamespace(
            send=lambda *_, **__: self._do("send", "sent"),
            create_branch=lambda *_: self._do("branch"),
            patch=lambda *_: self._do("patch", b"a patch"),
            changes=lambda *_: self.changes,
        )
        clock: Any = SimpleNamespace(now=lambda: 5.0)
        self.world = World(
            workspaces, {}, SimpleNamespace(), self.blobs, self.cache, clock, self._render, lambda: True, self._alone
        )

    def _do(self, what: str, value: object = None) -> object:
        if what in self.fails:
            raise self.fails[what]
        self.done.append(what)
        return value

    def _render(self, template: str, values: object) -> str:
        return "a/branch"

    @contextmanager
    def _alone(self) -> Generator[None]:
        self.done.append("alone")
        yield
        self.done.append("no longer alone")

    def perform(self, effect: Any, *, recorded: bool = True) -> list[Event]:
        """All events of an effect; each stands in `done` when it is given out."""
        facts, events = perform(self.world, CONTEXT, effect, SimpleNamespace()), []
        answer: Recorded | None = None
        while True:
            try:
                event = facts.send(answer)
            except StopIteration:
                return events
            events.append(event)
            self.done.append(type(event).__name__)
            answer = Recorded(len(events), 5.0, event) if recorded else None


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_branch_is_made_after_the_delivery_was_announced_and_before_it_is_a_fact(scene: Scene) -> None:
    events = scene.perform(DeliverBranch("c1", (), 1))
    assert scene.done == ["send", "DeliveryBegun", "alone", "branch", "no longer alone", "Delivered"]
    assert events == [DeliveryBegun("a/branch", "sent", "c1"), Delivered("a/branch", "sent", "c1")]


def test_a_delivery_that_was_announced_in_vain_makes_nothing(scene: Scene) -> None:
    scene.perform(DeliverBranch("c1", (), 1), recorded=False)
    assert scene.done == ["send", "DeliveryBegun"]


def test_a_delivery_that_was_begun_is_the_same_again(scene: Scene) -> None:
    begun = DeliveryBegun("a/branch", "its commit", "c1")
    events = scene.perform(DeliverBranch("c1", (), 2, begun=begun))
    assert scene.done == ["DeliveryBegun", "alone", "branch", "no longer alone", "Delivered"]
    assert events == [begun, Delivered("a/branch", "its commit", "c1")]


@pytest.mark.parametrize(
    ("error", "permanent", "undone"),
    [
        (InfrastructureError("no room"), False, False),
        (InfrastructureError("gone", permanent=True), True, False),
        (DeliveryRefused("there is one of that name"), True, True),
    ],
)
def test_a_branch_that_could_not_be_made_is_no_delivery(
    scene: Scene, error: Exception, permanent: bool, undone: bool
) -> None:
    scene.fails["branch"] = error
    events = scene.perform(DeliverBranch("c1", (), 1))
    assert [type(event) for event in events] == [DeliveryBegun, EffectErrored]
    failed = events[-1]
    assert isinstance(failed, EffectErrored)
    assert (failed.why, failed.number, failed.permanent, failed.undone) == (str(error), 1, permanent, undone)
    assert failed.retry_at == 6.0


def test_a_delivery_refused_when_it_may_have_been_made_before_is_not_undone(scene: Scene) -> None:
    scene.fails["branch"] = DeliveryRefused("it was moved")
    *_, failed = scene.perform(DeliverBranch("c1", (), 2, begun=DeliveryBegun("a/branch", "b", "c1")))
    assert isinstance(failed, EffectErrored)
    assert not failed.undone


def test_a_delivery_that_was_begun_under_a_name_of_somebody_else_is_none(scene: Scene) -> None:
    """As a controller on another machine may say."""
    [failed] = scene.perform(DeliverBranch("c1", (), 2, begun=DeliveryBegun("release", "b", "c1")))
    assert isinstance(failed, EffectErrored)
    assert (failed.permanent, scene.done) == (True, ["EffectErrored"])
    begun = DeliveryBegun("mine", "b", "c1")
    assert scene.perform(DeliverBranch("c1", (), 2, "mine", begun))[0] == begun


def test_an_acceptance_names_a_record_that_is_there(scene: Scene) -> None:
    effect = AcceptHandoff(ATTEMPT, "c1", "t1", "t0", (PASSED,), "", "", 1)
    facts = perform(scene.world, CONTEXT, effect, SimpleNamespace())  # type: ignore[arg-type]
    accepted = next(facts)
    assert isinstance(accepted, HandoffAccepted)
    assert b"r1/code/1.1" in scene.blobs.get(accepted.record)


def test_a_commit_with_another_tree_than_was_judged_is_not_accepted(scene: Scene) -> None:
    scene.changes = (Change("smuggled.py", "A", "000000", "100644"),)
    [failed] = scene.perform(AcceptHandoff(ATTEMPT, "c1", "t1", "t0", (PASSED,), "", "", 1))
    assert isinstance(failed, EffectErrored)
    assert failed.permanent
    assert "the commit c1 has not the tree t1 that was judged" in failed.why


def test_an_acceptance_without_its_record_is_none(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: bytes) -> str:
        raise InfrastructureError("the disk is full")

    monkeypatch.setattr(scene.blobs, "put", full)
    [failed] = scene.perform(AcceptHandoff(ATTEMPT, "c1", "t1", "t0", (PASSED,), "", "", 3))
    assert isinstance(failed, EffectErrored)
    assert (failed.why, failed.number, failed.permanent) == ("the disk is full", 3, False)
    assert failed.retry_at == 5.0 + 16.0  # the third try


@pytest.mark.parametrize(("override_by", "by", "kept"), [("", "", True), ("ann", "", False), ("", "ann", False)])
def test_what_a_script_made_is_known_once_it_was_accepted_for_itself(
    scene: Scene, override_by: str, by: str, kept: bool
) -> None:
    scene.cache.remember("script-key", "c1", "the key")
    [accepted] = scene.perform(AcceptHandoff(ATTEMPT, "c1", "t1", "t0", (PASSED,), override_by, by, 1))
    assert scene.cache.recall("script", "the key") is None  # a person's answer may have come first
    hint(scene.cache, accepted)
    assert scene.cache.recall("script", "the key") == ("c1" if kept else None)


def test_what_cannot_be_remembered_is_lost_and_nothing_else(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: str) -> None:
        raise InfrastructureError("the disk is full")

    scene.cache.remember("script-key", "c1", "the key")
    monkeypatch.setattr(scene.cache, "remember", full)
    [accepted] = scene.perform(AcceptHandoff(ATTEMPT, "c1", "t1", "t0", (PASSED,), "", "", 1))
    hint(scene.cache, accepted)
    assert scene.cache.recall("script", "the key") is None


def test_a_rejection_names_feedback_that_is_there(scene: Scene) -> None:
    [rejected] = scene.perform(RejectCandidate(ATTEMPT, "c1", "t1", "t0", (FAILED,), 1))
    assert isinstance(rejected, CandidateRejected)
    assert scene.done == ["patch", "CandidateRejected"]
    assert b"it is wrong" in scene.blobs.get(rejected.feedback)
    assert (rejected.tree, rejected.gates, rejected.empty, rejected.hard) == ("t1", ("code/test",), False, True)
    [empty] = scene.perform(RejectCandidate(ATTEMPT, "c1", "t0", "t0", (FAILED,), 1))
    assert isinstance(empty, CandidateRejected)
    assert empty.empty
