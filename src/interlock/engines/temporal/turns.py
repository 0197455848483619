"""What comes of the work of a workflow is dealt with one after the other, each in full before the next.

Rule: a replay is told together of what came one after the other while a local activity was at work. So what a workflow
asks for next, and in which order, may not depend on how much it is told at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import TemporalError

Outcome = TypeVar("Outcome")


class Turns:
    """Of one workflow. `settled` tells whether all that was dealt with has led to what follows from it."""

    def __init__(self, settled: Callable[[], bool]) -> None:
        self._settled = settled
        self._line: deque[object] = deque()

    async def after(self, work: Awaitable[Outcome]) -> Outcome:
        """What comes of the work, once what came before it has been dealt with. Raises what it raises; whoever is
        cancelled hears of it at once."""
        try:
            outcome = await work
        except TemporalError:
            await self._turn()
            raise
        await self._turn()
        return outcome

    async def _turn(self) -> None:
        """A condition is looked at when nothing else can go on."""
        mine = object()
        self._line.append(mine)
        try:
            await workflow.wait_condition(lambda: self._line[0] is mine and self._settled())
        finally:
            self._line.remove(mine)
