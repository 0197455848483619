"""What to start and what to cancel: the wanted effects against those in flight. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from interlock.core.effects import (
    Decision,
    Effect,
    EvaluateGate,
    FinishRun,
    LoseAttempt,
    Operation,
    StartAttempt,
    WaitUntil,
    key,
)
from interlock.core.ids import AttemptId


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`alarm` is the earliest time that something waits for, None where nothing does."""

    start: tuple[Operation | Decision, ...]
    cancel: tuple[Operation, ...]
    alarm: float | None
    queued: int = 0  # wanted, and waiting for a place

    @property
    def rests(self) -> bool:
        """Whether nothing can move but by time or by a human."""
        return not self.start and not self.queued


def reconcile(wanted: Collection[Effect], in_flight: Collection[Operation], places: int) -> Reconciliation:
    """At most `places` attempts and gates are in flight at once; the rest waits in its order. Commands of one key are
    the same effect, whatever else is in them."""
    keys = {key(effect) for effect in wanted}
    cancel = tuple(effect for effect in in_flight if key(effect) not in keys)
    alarms = [effect.at for effect in wanted if isinstance(effect, WaitUntil)]
    free = places - sum(_takes_a_place(effect) for effect in in_flight)
    start: list[Operation | Decision] = []
    queued = 0
    for effect in _startable(wanted, in_flight):
        if isinstance(effect, FinishRun) and in_flight:
            queued += 1  # after the end nothing is done
            continue
        if _takes_a_place(effect):
            if free < 1:
                queued += 1
                continue
            free -= 1
        start.append(effect)
    return Reconciliation(tuple(start), cancel, min(alarms, default=None), queued)


def _startable(wanted: Collection[Effect], in_flight: Collection[Operation]) -> Iterator[Operation | Decision]:
    at_work = {_attempt_of(effect) for effect in in_flight} - {None}
    keys = {key(effect) for effect in in_flight}
    for effect in wanted:
        if isinstance(effect, WaitUntil) or key(effect) in keys:
            continue
        if _attempt_of(effect) in at_work:
            continue  # the former effect on this attempt has yet to end
        yield effect


def _attempt_of(effect: Effect) -> AttemptId | None:
    return effect.attempt if isinstance(effect, StartAttempt | LoseAttempt) else None


def _takes_a_place(effect: Effect) -> bool:
    return isinstance(effect, StartAttempt | EvaluateGate)
