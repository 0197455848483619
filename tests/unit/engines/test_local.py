"""The engine's loop where something fails: nothing new is begun, and what was paid for is recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from interlock.core.effects import AcceptHandoff, AskApproval, Effect, StartAttempt
from interlock.core.events import (
    ApprovalAsked,
    AttemptStarted,
    CandidateProduced,
    Event,
    HandoffAccepted,
    Recorded,
    RunStarted,
)
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, Gate, GateKind, Pipeline, Stage
from interlock.engines import executor, local
from interlock.engines.local import LocalEngine
from interlock.execution.context import Context
from interlock.gates.locks import Slots
from interlock.journal import MemoryJournal
from interlock.ports import Cancelled, Damaged, Fenced, InfrastructureError, World

ASKING = Stage("z", gates=(Gate("g", GateKind.APPROVE, question="Is it?"),))
PIPELINE = Pipeline("p", (*(Stage(name, agent="a") for name in "abc"), ASKING), (AgentSpec("a", "command"),))
CONTEXT = Context("r", PIPELINE, RunStarted("r", "p", "d", "task", "c", "t", ()), 0.0)


class Ledger:
    """Wants what it is told to until that is recorded. `refuse` raises for an event, or does not."""

    def __init__(self, *wanted: Effect) -> None:
        self.state = SimpleNamespace(now=0.0, finished=None)
        self.wanted = list(wanted)
        self.recorded: list[Event] = []
        self.late: list[Event] = []  # they do not fit any more
        self.refuse: Callable[[Event], None] = lambda event: None
        self.look: Callable[[], None] = lambda: None
        self.holds_fence = None

    def listen(self, listener: object) -> None: ...

    def take_answers(self, blobs: object) -> None:
        self.look()

    def next_effects(self) -> tuple[Effect, ...]:
        return tuple(self.wanted)

    def record(self, event: Event) -> Recorded | None:
        self.refuse(event)
        if event in self.late:
            self.wanted.clear()
            return None
        self.recorded.append(event)
        if isinstance(event, CandidateProduced):
            self.wanted = [one for one in self.wanted if getattr(one, "attempt", None) != event.attempt]
        return Recorded(len(self.recorded), 0.0, event)

    def told(self) -> list[str]:
        return [f"{type(event).__name__} {getattr(event, 'attempt', '')}".strip() for event in self.recorded]


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch) -> dict[str, threading.Event]:
    """By stage, what lets its work come to an end; without an entry it ends at once."""
    waits: dict[str, threading.Event] = {}
    monkeypatch.setattr(local, "perform", lambda world, context, effect, cancel, claim: worked(effect, cancel, waits))
    monkeypatch.setattr(executor, "INBOX_S", 0.01)
    monkeypatch.setattr(local, "LAUNCHES_MAX", 3)
    return waits


def worked(effect: StartAttempt, cancel: threading.Event, waits: dict[str, threading.Event]) -> Iterator[Event]:
    while (wait := waits.get(effect.attempt.stage)) and not wait.wait(0.01):
        if cancel.is_set():
            raise Cancelled(str(effect.attempt))
    yield CandidateProduced(effect.attempt, "c", "t")


def start(stage: str) -> StartAttempt:
    return StartAttempt(AttemptId(stage, 1, 1), "a", "c", "t")


def engine(ledger: Ledger) -> LocalEngine:
    nothing: Any = None
    return LocalEngine(ledger, World(*[nothing] * 8), CONTEXT)  # type: ignore[arg-type]


def without_thread(monkeypatch: pytest.MonkeyPatch, stage: str, refused: Callable[[], None]) -> None:
    """The machine has no thread for the work of a stage."""

    def started(thread: Any) -> bool:
        if thread._args[0].effect.attempt.stage == stage:
            refused()
            return False
        thread.start()
        return True

    monkeypatch.setattr(executor, "started", started)


def test_without_a_thread_for_one_stage_the_other_ends_and_is_recorded(monkeypatch, go):
    go["b"] = threading.Event()
    refusals: list[int] = []

    def refused() -> None:
        refusals.append(1)
        if len(refusals) == 10:  # long after it would have been given up
            go["b"].set()

    without_thread(monkeypatch, "a", refused)
    ledger = Ledger(start("b"), start("a"), start("c"))
    with pytest.raises(InfrastructureError, match="no thread can be started"):
        engine(ledger).drive()
    assert ledger.told() == ["AttemptStarted b/1.1", "AttemptStarted a/1.1", "CandidateProduced b/1.1"]
    assert len(refusals) < 20


def test_what_is_at_work_is_recorded_where_another_fact_could_not_be(go):
    go["b"] = threading.Event()
    ledger = Ledger(start("b"), start("a"))

    def refuse(event: Event) -> None:
        if isinstance(event, CandidateProduced) and event.attempt.stage == "a":
            ledger.wanted.append(start("c"))  # which is never begun
            threading.Timer(0.1, go["b"].set).start()
            raise InfrastructureError("a passing error")

    ledger.refuse = refuse
    with pytest.raises(InfrastructureError, match="a passing error"):
        engine(ledger).drive()
    assert "CandidateProduced b/1.1" in ledger.told()
    assert "AttemptStarted c/1.1" not in ledger.told()


@pytest.mark.parametrize("permanent", [False, True])
def test_a_fact_that_could_not_be_recorded_is_kept_while_another_is_at_work(go, permanent: bool):
    go["b"] = threading.Event()
    ledger = Ledger(start("b"), start("a"))
    refusals: list[int] = []

    def refuse(event: Event) -> None:
        if isinstance(event, CandidateProduced) and event.attempt.stage == "a" and len(refusals) < 5:
            refusals.append(1)
            threading.Timer(1, go["b"].set).start()  # where it is not tried again
            raise InfrastructureError("the disk is full", permanent=permanent)
        if isinstance(event, CandidateProduced) and event.attempt.stage == "a":
            go["b"].set()

    ledger.refuse = refuse
    with pytest.raises(InfrastructureError, match="the disk is full"):
        engine(ledger).drive()
    assert ledger.told()[-2:] == ["CandidateProduced a/1.1", "CandidateProduced b/1.1"]


def test_what_waits_for_a_slot_does_not_begin_after_a_failure(go, monkeypatch, tmp_path):
    slots, begun, waiting = Slots(tmp_path, 1), list[str](), threading.Barrier(3)

    def worked(
        world: object, context: object, effect: StartAttempt, cancel: threading.Event, claim: Recorded
    ) -> Iterator[Event]:
        waiting.wait()
        if effect.attempt.stage == "a":
            raise InfrastructureError("a passing error")
        with slots.acquire(cancel):
            begun.append(effect.attempt.stage)
        yield CandidateProduced(effect.attempt, "c", "t")

    monkeypatch.setattr(local, "perform", worked)
    ledger = Ledger(start("a"), start("b"), start("c"))
    other = ExitStack()
    other.enter_context(slots.acquire(threading.Event()))
    threading.Timer(1, other.close).start()
    with pytest.raises(InfrastructureError, match="a passing error"):
        engine(ledger).drive()
    assert begun == []


@pytest.mark.parametrize("stops", [False, True])
def test_what_is_kept_is_given_up_after_a_last_try_or_a_stop(go, stops: bool):
    go["b"] = threading.Event()
    ledger = Ledger(start("b"), start("a"))
    driven, refusals = engine(ledger), list[str]()

    def refuse(event: Event) -> None:
        if isinstance(event, CandidateProduced):
            refusals.append(event.attempt.stage)
            (driven.stop if stops else go["b"]).set()
            threading.Timer(1, go["b"].set).start()
            raise InfrastructureError("the disk is full")

    ledger.refuse = refuse
    with pytest.raises(InfrastructureError, match="the disk is full"):
        driven.drive()
    assert ledger.told() == ["AttemptStarted b/1.1", "AttemptStarted a/1.1"]
    assert ("b" in refusals) is not stops


def test_a_defect_does_not_end_what_is_at_work(go):
    go["b"] = threading.Event()
    ledger = Ledger(start("b"))

    def look() -> None:
        if ledger.recorded and not go["b"].is_set():
            threading.Timer(0.1, go["b"].set).start()
            raise KeyError("x")

    ledger.look = look
    with pytest.raises(KeyError):
        engine(ledger).drive()
    assert ledger.told() == ["AttemptStarted b/1.1", "CandidateProduced b/1.1"]


@pytest.mark.parametrize("error", [Fenced("another owner"), Damaged("a gap")])
def test_where_nothing_can_be_recorded_any_more_all_ends_at_once(go, error: Exception):
    go["b"] = threading.Event()  # never
    ledger = Ledger(start("b"), start("a"))

    def refuse(event: Event) -> None:
        if isinstance(event, CandidateProduced):
            raise error

    ledger.refuse = refuse
    with pytest.raises(type(error)):
        engine(ledger).drive()
    assert "CandidateProduced b/1.1" not in ledger.told()


def test_a_person_ends_what_is_waited_for(go):
    go["b"] = threading.Event()  # never
    ledger = Ledger(start("b"), start("a"))

    def refuse(event: Event) -> None:
        if isinstance(event, CandidateProduced):
            ledger.look = ledger.wanted.clear  # as `cancel` does
            raise InfrastructureError("a passing error")

    ledger.refuse = refuse
    with pytest.raises(InfrastructureError, match="a passing error"):
        engine(ledger).drive()


def test_nothing_is_claimed_after_an_error_in_the_same_round(go):
    subject = AttemptId("z", 1, 1)
    ledger = Ledger(AskApproval(subject, "z/g"), start("a"))

    def refuse(event: Event) -> None:
        if isinstance(event, ApprovalAsked):
            raise InfrastructureError("a passing error")

    ledger.refuse = refuse
    with pytest.raises(InfrastructureError, match="a passing error"):
        engine(ledger).drive()
    assert ledger.told() == []


def test_an_attempt_begins_with_the_record_of_its_claim(monkeypatch):
    claims: list[Recorded | None] = []

    def worked(*given: Any) -> Iterator[Event]:
        claims.append(given[4])
        yield CandidateProduced(given[2].attempt, "c", "t")

    monkeypatch.setattr(local, "perform", worked)
    ledger = Ledger(start("a"))
    engine(ledger).drive()
    claimed = AttemptStarted(AttemptId("a", 1, 1), "a", "", "t", sandbox="none")
    assert claims == [Recorded(1, 0.0, claimed)]
    assert ledger.recorded == [claimed, CandidateProduced(AttemptId("a", 1, 1), "c", "t")]


def test_a_claim_that_is_refused_begins_nothing(monkeypatch):
    monkeypatch.setattr(local, "perform", lambda *given: pytest.fail("it was not claimed"))
    ledger = Ledger(start("a"))
    ledger.late = [AttemptStarted(AttemptId("a", 1, 1), "a", "", "t", sandbox="none")]
    engine(ledger).drive()
    assert ledger.recorded == []


@pytest.mark.parametrize("late", [False, True])
def test_what_a_script_made_is_remembered_once_its_acceptance_is_recorded(monkeypatch, late: bool):
    subject = AttemptId("a", 1, 1)
    accepted = HandoffAccepted(subject, "c", "t", "record")
    ledger = Ledger(AcceptHandoff(subject, "c", "t", "t", (), "", "", 1))
    ledger.late = [accepted] if late else []
    driven = engine(ledger)
    driven.world = replace(driven.world, cache=MemoryJournal())
    driven.world.cache.remember("script-key", "c", "its key")

    def performed(*given: Any) -> Iterator[Event]:
        ledger.wanted.clear()
        yield accepted

    monkeypatch.setattr(local, "perform", performed)
    driven.drive()
    assert driven.world.cache.recall("script", "its key") == (None if late else "c")
