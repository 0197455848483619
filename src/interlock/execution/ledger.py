"""The owner's copy of a run: its journal, folded, and the one door for new events.

Rule: an event is admitted, applied and appended in that order, under one lock, so that what cannot be read again is
never written. What does not fit is appended as `Refused`; what a former owner says is fenced off by the journal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from interlock.core.admission import admit
from interlock.core.answers import must_wait
from interlock.core.effects import Effect
from interlock.core.events import Event, OwnerChanged, Recorded, Refused, TimeReached
from interlock.core.facts import refused
from interlock.core.fold import apply
from interlock.core.inbox import feedback_of, taken
from interlock.core.pipeline import Pipeline
from interlock.core.plan import plan
from interlock.core.state import RunState
from interlock.journal.mirror import require_fits
from interlock.ports import Blobs, Clock, InfrastructureError, Journal

JUMP_S = 5.0  # what a clock may go otherwise than time does, between two events, without a word


class Ledger:
    """Holds the fence of one run. Safe to use from several threads of its process."""

    def __init__(self, state: RunState, pipeline: Pipeline, journal: Journal, clock: Clock, fence: int) -> None:
        """`state` is of the whole history, read after `fence` was taken."""
        if state.started is None:
            raise InfrastructureError(
                "the first event of the run is missing in the journal: the run is damaged", permanent=True
            )
        self.started, self.pipeline, self.fence = state.started, pipeline, fence
        self._journal, self._clock = journal, clock
        self._lock = threading.RLock()
        self._state = state
        self._listeners: list[Callable[[Recorded], None]] = []
        self._read: tuple[float, float] | None = None  # the clock, and seconds elapsed, at the newest event of ours

    @property
    def run(self) -> str:
        return self.started.run

    @property
    def state(self) -> RunState:
        return self._state

    def listen(self, listener: Callable[[Recorded], None]) -> None:
        """Call `listener` after each append, on the appending thread."""
        self._listeners.append(listener)

    def claim(self, owner: str) -> None:
        """Say in the journal that this process owns the run; what the former one had at work is lost."""
        self.record(OwnerChanged(self.fence, owner))

    def record(self, event: Event) -> Recorded | None:
        """Append `event`, or a refusal of it and return None. Raises Fenced, InfrastructureError."""
        with self._lock:
            why = admit(self._state, event)
            if why:
                self._append(refused(event, why))
                return None
            return self._append(event)

    def holds_fence(self) -> bool:
        """Whether this process still owns the run."""
        return self._journal.holds(self.run, self.fence)

    def next_effects(self) -> tuple[Effect, ...]:
        """All that is wanted now, effects in flight included."""
        return plan(self.pipeline, self._state)

    def take_answers(self, blobs: Blobs) -> int:
        """Journal what lies in the inbox, in the order it came, but for what must wait. Returns how many there were."""
        answers = self._journal.answers(self.run)
        for answer in answers:
            comment = feedback_of(answer)
            event = taken(answer, blobs.put(comment) if comment else "")
            with self._lock:
                if must_wait(self._state, answer.action):
                    continue
                why = admit(self._state, event)
                self._append(Refused("answer", answer.id, why, event) if why else event)
        return len(answers)

    def copy(self, record: Recorded) -> None:
        """Append what another machine recorded, as it stands there. Raises InfrastructureError where it does not follow
        on what is here, Damaged where it does not fit."""
        with self._lock:
            if record.seq != self._state.seq + 1:
                raise InfrastructureError(
                    f"run {self.run}: event {record.seq} cannot follow event {self._state.seq}: the copy that is here"
                    " and the run on the server are not the same",
                    permanent=True,
                )
            require_fits(self.run, self.pipeline, self._state, record)
            self._write(record.at, record.event)

    def _append(self, event: Event) -> Recorded:
        """Where the clock has jumped, that is a fact of its own before it: nobody worked meanwhile."""
        at, elapsed = self._clock.now(), self._clock.elapsed()
        jumped_s = at - self._read[0] - (elapsed - self._read[1]) if self._read else 0.0
        if abs(jumped_s) > JUMP_S:
            self._write(at, TimeReached(at, jumped_s))
            self._read = at, elapsed
        record = self._write(at, event)
        self._read = at, elapsed
        return record

    def _write(self, at: float, event: Event) -> Recorded:
        state = apply(self._state, Recorded(self._state.seq + 1, at, event))
        record = self._journal.append(self.run, self.fence, self._state.seq, at, event)
        self._state = state
        for listener in self._listeners:
            listener(record)
        return record
