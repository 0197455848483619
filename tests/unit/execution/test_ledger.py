"""The owner's copy of a run, where two of its threads meet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.effects import PrepareInput
from interlock.core.events import (
    Action,
    AnswerTaken,
    AttemptStarted,
    CandidateProduced,
    DeliveryBegun,
    Event,
    InputPrepared,
    OwnerChanged,
    Paused,
    PauseReason,
    Recorded,
    Refused,
    RunStarted,
    TimeReached,
    WhenHeld,
)
from interlock.core.fold import fold
from interlock.core.ids import AttemptId, input_of
from interlock.core.inbox import Answer
from interlock.core.pipeline import Pipeline, Stage
from interlock.execution.ledger import Ledger
from interlock.journal import MemoryBlobs, MemoryJournal
from interlock.ports import Damaged, Fenced, InfrastructureError

STARTED = RunStarted("r1", "p", "d", "t", "c", "t", ("code",))
PIPELINE = Pipeline("p", (Stage("code"),))


class Clock:
    def __init__(self, *, at: float = 1.0, passed: float = 1.0) -> None:
        self.at, self.passed = at, passed

    def now(self) -> float:
        return self.at

    def elapsed(self) -> float:
        return self.passed


def ledger_of(journal: MemoryJournal, clock: Clock | None = None) -> Ledger:
    journal.create("r1", 0.0, STARTED)
    return Ledger(fold(journal.records("r1")), PIPELINE, journal, clock or Clock(), journal.take("r1"))


def test_a_cancel_waits_where_the_delivery_begins_at_that_moment() -> None:
    """It was looked at, and not yet journalled: it is neither refused nor taken until it is known which came first."""
    journal = MemoryJournal()
    ledger = ledger_of(journal)

    class Blobs(MemoryBlobs):
        def put(self, content: bytes) -> str:
            ledger._state = replace(ledger.state, delivering=DeliveryBegun("b", "c", "c"))
            return super().put(content)

    journal.put_answer(Answer("a1", "r1", Action.CANCEL, "me", 1.0, comment="not like this"))
    ledger.take_answers(Blobs())
    assert len(journal.records("r1")) == 1
    assert [answer.id for answer in journal.answers("r1")] == ["a1"]


def test_answers_are_recorded_in_the_order_they_were_given() -> None:
    journal = MemoryJournal()
    ledger = ledger_of(journal)
    for number in (1, 2, 3):  # the order counts, and not what a clock said
        limits = (("attempts", 40.0 + number),)
        journal.put_answer(Answer(f"a{number}", "r1", Action.RAISE, "me", float(-number), limits=limits))
    assert ledger.take_answers(MemoryBlobs()) == 3
    events = [record.event for record in journal.records("r1")[1:]]
    assert [event.answer for event in events if isinstance(event, AnswerTaken)] == ["a1", "a2", "a3"]
    assert journal.answers("r1") == []


def test_an_answer_is_taken_with_every_field_and_its_comment_is_feedback() -> None:
    journal, blobs = MemoryJournal(), MemoryBlobs()
    ledger = ledger_of(journal)
    fields = {
        "stage": "code", "gate": "code/look",
        "comment": "no: \u00e9", "commit": "theirs", "override": True, "now": True,
        "limits": (("attempts", 1.0),), "branch": "mine",
    }  # fmt: skip
    journal.put_answer(Answer("a1", "r1", Action.RAISE, "me", 1.0, subject="code/1.2", **fields))  # type: ignore[arg-type]
    journal.put_answer(Answer("a2", "r1", Action.RAISE, "me", 1.0, subject="it", limits=(("attempts", 1.0),)))
    assert ledger.take_answers(blobs) == 2
    first, second = (record.event for record in journal.records("r1")[1:])
    assert isinstance(first, AnswerTaken)
    assert blobs.get(first.feedback) == b'{"by": "me", "comment": "no: \\u00e9"}'
    about = AttemptId("code", 1, 2)
    assert first == AnswerTaken("a1", Action.RAISE, "me", subject=about, feedback=first.feedback, **fields)  # type: ignore[arg-type]
    assert second == AnswerTaken("a2", Action.RAISE, "me", limits=(("attempts", 1.0),))


def test_what_does_not_fit_is_journalled_as_refused_with_what_it_was_about() -> None:
    journal, attempt = MemoryJournal(), AttemptId("code", 1, 1)
    ledger, heard = ledger_of(journal), list[Recorded]()
    ledger.listen(heard.append)
    assert ledger.run == "r1"
    assert ledger.record(CandidateProduced(attempt, "c", "t")) is None
    assert ledger.record(WhenHeld(input_of("code", 3))) is None
    assert ledger.record(Paused("none", PauseReason.LOOP, "x")) is None
    journal.put_answer(Answer("a1", "r1", Action.APPROVE, "me", 1.0, subject="code/1.1", gate="code/none"))
    assert ledger.take_answers(MemoryBlobs()) == 1
    refused = [record.event for record in journal.records("r1")[1:]]
    assert [(event.what, event.subject, bool(event.why)) for event in refused if isinstance(event, Refused)] == [
        ("CandidateProduced", "code/1.1", True),
        ("WhenHeld", "code/3.0", True),
        ("Paused", "none", True),
        ("answer", "a1", True),
    ]
    assert heard == journal.records("r1")[1:]


def test_an_owner_says_so_and_holds_the_fence_until_another_one_takes_it() -> None:
    journal = MemoryJournal()
    ledger = ledger_of(journal)
    ledger.claim("me")
    assert journal.records("r1")[-1].event == OwnerChanged(ledger.fence, "me")
    assert ledger.holds_fence()
    assert [type(effect) for effect in ledger.next_effects()] == [PrepareInput]
    journal.take("r1")
    assert not ledger.holds_fence()
    with pytest.raises(Fenced):
        ledger.record(TimeReached(0.0))


@pytest.mark.parametrize("event", [WhenHeld(input_of("none", 1)), CandidateProduced(AttemptId("code", 1, 1), "c", "t")])
def test_what_another_machine_recorded_and_does_not_fit_is_not_copied(event: Event) -> None:
    journal = MemoryJournal()
    ledger = ledger_of(journal)
    ledger.copy(Recorded(2, 3.0, TimeReached(3.0)))
    with pytest.raises(Damaged, match="event 3 of run r1 on the server does not fit: the stage is"):
        ledger.copy(Recorded(3, 4.0, event))
    assert fold(journal.records("r1")) == ledger.state


def test_what_cannot_be_read_again_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever `admit` may overlook."""
    journal = MemoryJournal()
    ledger = ledger_of(journal)
    monkeypatch.setattr("interlock.execution.ledger.admit", lambda state, event: "")
    with pytest.raises(KeyError):
        ledger.record(WhenHeld(input_of("none", 1)))
    assert fold(journal.records("r1")) == ledger.state


def test_a_run_without_a_beginning_has_no_owner() -> None:
    with pytest.raises(InfrastructureError, match="the first event of the run is missing") as error:
        Ledger(fold([]), PIPELINE, MemoryJournal(), Clock(), 1)
    assert error.value.permanent


@pytest.mark.parametrize("drift", [5.0, -5.0])
def test_a_clock_may_drift_a_little_between_two_events(drift: float) -> None:
    journal, clock = MemoryJournal(), Clock(at=1_000.0, passed=7.0)
    ledger = ledger_of(journal, clock)
    ledger.claim("me")
    clock.at, clock.passed = 1_060.0 + drift, 67.0
    ledger.claim("me")
    assert len(journal.records("r1")) == 3
    clock.at, clock.passed = clock.at + 2.0 * drift, 67.0
    ledger.claim("me")
    assert journal.records("r1")[3].event == TimeReached(clock.at, 2.0 * drift)
    assert len(journal.records("r1")) == 5


@pytest.mark.parametrize("jump", [3_600.0, -3_600.0])
def test_a_clock_that_jumps_is_a_fact_and_spends_no_limit(jump: float) -> None:
    journal, clock, attempt = MemoryJournal(), Clock(at=1_000.0, passed=7.0), AttemptId("code", 1, 1)
    ledger = ledger_of(journal, clock)
    ledger.claim("me")
    ledger.record(InputPrepared(input_of("code", 1), "c", "t", ("c",)))
    ledger.record(AttemptStarted(attempt, "", "", "t"))
    clock.at, clock.passed = 1_000.0 + jump + 60.0, 67.0
    ledger.record(CandidateProduced(attempt, "c", "t"))
    assert ledger.state.spent.wall_s == pytest.approx(60.0)
    jumps = [record.event.jumped_s for record in journal.records("r1") if isinstance(record.event, TimeReached)]
    assert jumps == [pytest.approx(jump)]
    clock.at, clock.passed = clock.at + 14.0, 77.0  # it was set by a little: no word of that
    ledger.record(TimeReached(0.0))
    assert ledger.state.spent.wall_s == pytest.approx(74.0)
    assert fold(journal.records("r1")) == ledger.state
