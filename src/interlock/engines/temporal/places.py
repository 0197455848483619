"""The task queues in which workers take the effects of a run: found, and believed for a while.

Rule: no clock decides how long. Where workflow tasks followed each other during a local activity, a replay is told the
time of the last one.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import TemporalError, is_cancelled_exception

from interlock.core.effects import Operation
from interlock.engines.temporal.fleet import PLACE, PlaceInput, place_input
from interlock.engines.temporal.needs import Need
from interlock.engines.temporal.payloads import value_of
from interlock.engines.temporal.turns import Turns

_USES = 20  # effects that a place is believed for
_LOOK_MAX = timedelta(seconds=30)
_ONCE = RetryPolicy(maximum_attempts=1)
_SEEK = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=10))


class Places:
    """Those that one run knows."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._known: dict[Need, tuple[str, int]] = {}  # and for how many effects more
        self._looks: dict[Need, asyncio.Task[str]] = {}  # in progress

    def take(self, need: Need) -> str:
        """The place that was found for this need, for one effect; empty if none was, or for many effects before."""
        place, left = self._known.get(need, ("", 0))
        self._known[need] = (place, left - 1)
        return place if left > 0 else ""

    def forget(self) -> None:
        """Time may have passed, or a worker may be gone."""
        self._known.clear()

    async def find(self, effect: Operation, need: Need) -> str:
        """Where no worker fits, the same is asked by an activity that is tried until one does: it says what is missing,
        and adds nothing to the history meanwhile."""
        given = place_input(effect, need, workflow.now().timestamp())
        if need not in self._looks:
            self._looks[need] = asyncio.create_task(self._look(given))
        place = await asyncio.shield(self._looks[need])
        if not place:
            asked = workflow.execute_activity(
                PLACE, given, result_type=RawValue, start_to_close_timeout=_LOOK_MAX, retry_policy=_SEEK
            )
            place = str(value_of(await self._turns.after(asked), workflow.payload_converter()))
        self._known[need] = (place, _USES)
        return place

    async def _look(self, given: PlaceInput) -> str:
        """One look for all effects that need the same; empty if no worker is seen that fits."""
        try:
            asked = workflow.execute_local_activity(
                PLACE, given, result_type=str, start_to_close_timeout=_LOOK_MAX, retry_policy=_ONCE
            )
            place: str = await self._turns.after(asked)
        except TemporalError as error:
            if is_cancelled_exception(error):
                raise
            return ""
        finally:
            del self._looks[given.need]
        return place
