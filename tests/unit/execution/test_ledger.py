"""The owner's copy of a run, where two of its threads meet."""

from __future__ import annotations

from dataclasses import replace

from interlock.core.events import Action, DeliveryBegun, RunStarted
from interlock.core.pipeline import Pipeline, Stage
from interlock.core.state import RunState
from interlock.execution.ledger import Ledger
from interlock.journal import MemoryBlobs, MemoryJournal
from interlock.ports import Answer

STARTED = RunStarted("r1", "p", "d", "t", "c", "t", ("code",))
PIPELINE = Pipeline("p", (Stage("code"),))


class Clock:
    def now(self) -> float:
        return 1.0


def ledger_of(journal: MemoryJournal) -> Ledger:
    journal.create("r1", 0.0, STARTED)
    return Ledger(RunState(started=STARTED, seq=1), PIPELINE, journal, Clock(), journal.take("r1"))


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
