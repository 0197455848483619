"""What was paid for is not thrown away because the disk is full for seconds."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from interlock.core.effects import StartAttempt
from interlock.core.ids import AttemptId
from interlock.execution.attempt import _snapshot
from interlock.execution.context import Context
from interlock.ports import Candidate, InfrastructureError, Stamp


class Waits:
    """A cancel that is never set, for which no time passes."""

    def __init__(self) -> None:
        self.waited_s = 0.0

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float | None = None) -> bool:
        self.waited_s += timeout or 0.0
        return False


def taken(waits: Waits, full_s: float) -> Candidate:
    def snapshot(*_: object) -> Candidate:
        if waits.waited_s < full_s:
            raise InfrastructureError("the disk is full")
        return Candidate("c", "t")

    nothing: Any = None
    world: Any = SimpleNamespace(workspaces=SimpleNamespace(snapshot=snapshot))
    backoff: Any = SimpleNamespace(backoff_s=1.0)
    context: Any = SimpleNamespace(checkout_spec=nothing, ref=str, retry_at=partial(Context.retry_at, backoff))
    effect = StartAttempt(AttemptId("code", 1, 1), "a", "c", "t")
    return _snapshot(world, context, effect, nothing, Stamp("x", 0), waits)


def test_a_disk_that_is_full_for_seconds_is_waited_for() -> None:
    assert taken(Waits(), full_s=15).commit == "c"


def test_one_that_stays_full_is_not() -> None:
    waits = Waits()
    with pytest.raises(InfrastructureError, match="the disk is full"):
        taken(waits, full_s=3600)
    assert waits.waited_s < 60
