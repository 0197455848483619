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
from interlock.ports import InfrastructureError

_USES = 20  # effects that a place is believed for
_LOOK_MAX = timedelta(seconds=30)
_ONCE = RetryPolicy(maximum_attempts=1)
_SEEK = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=10))


class Places:
    """Those that one run knows."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._known: dict[Need, tuple[list[str], int]] = {}  # and how many effects have taken one
        self._looks: dict[Need, asyncio.Task[list[str]]] = {}  # in progress

    def take(self, need: Need) -> str:
        """A place of those that were found for this need, in turn, for one effect; empty if none was found, or for many
        effects before."""
        places, taken = self._known.get(need, ([], 0))
        if not places or taken >= _USES:
            return ""
        self._known[need] = places, taken + 1
        return places[taken % len(places)]

    def forget(self) -> None:
        """Time may have passed, or a worker may be gone."""
        self._known.clear()

    async def find(self, effect: Operation, need: Need) -> str:
        """The first place for one effect; `take` gives all in turn from now on. Where no worker fits, the same is asked
        by an activity that is tried until one does: it says what is missing, and adds nothing to the history."""
        given = place_input(effect, need, workflow.now().timestamp())
        if need not in self._looks:
            self._looks[need] = asyncio.create_task(self._look(given))
        places = await asyncio.shield(self._looks[need])
        if not places:
            asked = workflow.execute_activity(
                PLACE, given, result_type=RawValue, start_to_close_timeout=_LOOK_MAX, retry_policy=_SEEK
            )
            places = _named(value_of(await self._turns.after(asked), workflow.payload_converter()))
            self._known[need] = places, 0
        return places[0]

    async def _look(self, given: PlaceInput) -> list[str]:
        """One look for all effects that need the same; empty if no worker is seen that fits."""
        try:
            asked = workflow.execute_local_activity(
                PLACE, given, result_type=list[str], start_to_close_timeout=_LOOK_MAX, retry_policy=_ONCE
            )
            places: list[str] = await self._turns.after(asked)
        except TemporalError as error:
            if is_cancelled_exception(error):
                raise
            return []
        finally:
            del self._looks[given.need]
        self._known[given.need] = places, 0
        return places


def _named(told: object) -> list[str]:
    """Raises InfrastructureError: whoever has what a controller has may answer anything."""
    if not isinstance(told, list) or not told or not all(isinstance(place, str) for place in told):
        raise InfrastructureError("what was told of workers names no place")
    return told
