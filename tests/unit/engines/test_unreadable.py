"""What a worker reports is text that others wrote: whatever it is, the effect has failed, and is not begun for ever."""

from __future__ import annotations

import asyncio
from typing import get_args

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from interlock.core.effects import Operation, PrepareInput
from interlock.core.events import Event
from interlock.core.ids import AttemptId
from interlock.core.wire import decode_event
from interlock.engines.temporal.flow import RunWorkflow

KINDS = [kind.__name__ for kind in get_args(Event)]
BODIES = ("[]", "{}", "x", "null", "7", "[1e999]", "[[1]]", '["x", 1, 2]', "[" * 5000 + "]" * 5000)


class Flow(RunWorkflow):
    """Notes what failed."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self._in_flight = {}
        self._moved = 0

    def _failed(self, effect: Operation, error: BaseException) -> None:
        self.failures.append(str(error))


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_report_that_cannot_be_read_is_a_failure(body: str) -> None:
    flow = Flow()

    async def report(kind: str) -> None:
        decode_event(kind, body)
        raise ValueError("it could be read")

    effect = PrepareInput(AttemptId("code", 1, 1), (), 1)
    for kind in [*KINDS, "Nothing"]:
        asyncio.run(flow._followed(effect, report(kind)))
    assert len(flow.failures) == len(KINDS) + 1
