"""Exit codes, all of them."""

from __future__ import annotations

from enum import IntEnum

from interlock.core.views import RunPhase
from interlock.ports import Cancelled, InterlockError, UsageError


class Exit(IntEnum):
    ACCEPTED = 0  # or passed, or simply done
    NO = 1  # `check` said no, or the run was cancelled
    USAGE = 2  # or an invalid pipeline
    WAITS = 3  # for a human, paused included
    INFRASTRUCTURE = 5  # the machine, a program, another owner; a run that could not begin
    INTERRUPTED = 130


_OF_PHASE = {
    RunPhase.ACCEPTED: Exit.ACCEPTED,
    RunPhase.CANCELLED: Exit.NO,
    RunPhase.WAITING: Exit.WAITS,
    RunPhase.STOPPED: Exit.INFRASTRUCTURE,
    RunPhase.INTERRUPTED: Exit.INFRASTRUCTURE,
    RunPhase.RUNNING: Exit.ACCEPTED,
    RunPhase.SLEEPING: Exit.ACCEPTED,
    RunPhase.UNREADABLE: Exit.INFRASTRUCTURE,
    RunPhase.DAMAGED: Exit.INFRASTRUCTURE,
}


def of_phase(phase: RunPhase) -> Exit:
    """What a command that followed a run to `phase` ends with."""
    return _OF_PHASE[phase]


def of_error(error: InterlockError) -> Exit:
    match error:
        case UsageError():
            return Exit.USAGE
        case Cancelled():
            return Exit.NO
        case _:
            return Exit.INFRASTRUCTURE
