"""What to start and what to cancel: the wanted effects against those in flight. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from interlock.core.commands import Command, EvaluateGate, FinishRun, LoseAttempt, StartAttempt, WaitUntil, key
from interlock.core.ids import AttemptId


@dataclass(frozen=True, slots=True)
class Turn:
    """`alarm` is the earliest time that something waits for, None where nothing does."""

    start: tuple[Command, ...]
    cancel: tuple[Command, ...]
    alarm: float | None
    queued: int = 0  # wanted, and waiting for a place

    @property
    def rests(self) -> bool:
        """Whether nothing can move but by time or by a human."""
        return not self.start and not self.queued


def reconcile(wanted: Collection[Command], in_flight: Collection[Command], places: int) -> Turn:
    """At most `places` attempts and gates are in flight at once; the rest waits in its order. Commands of one key are
    the same effect, whatever else is in them."""
    keys = {key(command) for command in wanted}
    cancel = tuple(command for command in in_flight if key(command) not in keys)
    alarms = [command.at for command in wanted if isinstance(command, WaitUntil)]
    free = places - sum(_takes_a_place(command) for command in in_flight)
    start: list[Command] = []
    queued = 0
    for command in _startable(wanted, in_flight):
        if isinstance(command, FinishRun) and in_flight:
            queued += 1  # after the end nothing is done
            continue
        if _takes_a_place(command):
            if free < 1:
                queued += 1
                continue
            free -= 1
        start.append(command)
    return Turn(tuple(start), cancel, min(alarms, default=None), queued)


def _startable(wanted: Collection[Command], in_flight: Collection[Command]) -> Iterator[Command]:
    at_work = {_attempt_of(command) for command in in_flight} - {None}
    keys = {key(command) for command in in_flight}
    for command in wanted:
        if isinstance(command, WaitUntil) or key(command) in keys:
            continue
        if _attempt_of(command) in at_work:
            continue  # the former effect on this attempt has yet to end
        yield command


def _attempt_of(command: Command) -> AttemptId | None:
    return command.attempt if isinstance(command, StartAttempt | LoseAttempt) else None


def _takes_a_place(command: Command) -> bool:
    return isinstance(command, StartAttempt | EvaluateGate)
