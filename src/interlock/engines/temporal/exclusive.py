"""Names that only one gate of all runs may hold at a time (`exclusive`), over all machines.

Rule: a name is held by a child workflow of the run, whose id is the name: the server lets only one be open. It dies
with its run, so that nobody holds a name for a run that is gone. Names are taken in one order, so that two gates never
wait for each other. Who waits tries again, at random times that grow to half a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from interlock.core.effects import EvaluateGate, Operation
from interlock.core.events import Finding, VerdictGiven, VerdictStatus
from interlock.core.judging import find_gate
from interlock.core.pipeline import GateClass, Pipeline
from interlock.engines.temporal.messages import EventRow, event_row

HOLD = "interlock-hold"
_FIRST_S = 0.5
_MOST_S = 30.0
_WAIT_MAX_S = 4 * 3600.0  # as on one machine
_RETRY_S = 60.0


@workflow.defn(name=HOLD)
class HoldWorkflow:
    """A name that is held until the run that holds it says otherwise, or ends."""

    @workflow.run
    async def run(self) -> None:
        """Returns once it is cancelled."""
        with suppress(asyncio.CancelledError):
            await workflow.wait_condition(lambda: False)


async def alone(pipeline: Pipeline, effect: Operation, work: Callable[[], Awaitable[list[EventRow]]]) -> list[EventRow]:
    """What `work` returns, done while no other gate holds a name of this one; an errored verdict if that took hours."""
    if not isinstance(effect, EvaluateGate) or not (names := find_gate(pipeline, effect.gate)[1].exclusive):
        return await work()
    async with AsyncExitStack() as stack:
        try:
            await _hold(stack, names)
        except TimeoutError as error:
            return [event_row(_gave_up(pipeline, effect, str(error)))]
        return await work()


async def _hold(stack: AsyncExitStack, names: Sequence[str]) -> None:
    for name in sorted(set(names)):
        await stack.enter_async_context(_held(name))


@asynccontextmanager
async def _held(name: str) -> AsyncIterator[None]:
    """Raises TimeoutError in words after four hours of waiting."""
    child = await _started(name)
    try:
        yield
    finally:
        child.cancel()
        with suppress(ChildWorkflowError, asyncio.CancelledError):
            await child


async def _started(name: str) -> workflow.ChildWorkflowHandle[object, object]:
    until, pause_s = workflow.now().timestamp() + _WAIT_MAX_S, _FIRST_S
    while True:
        try:
            return await workflow.start_child_workflow(
                HOLD,
                id=f"{workflow.info().task_queue}-exclusive-{name}",
                parent_close_policy=ParentClosePolicy.TERMINATE,
            )
        except WorkflowAlreadyStartedError:
            if workflow.now().timestamp() > until:
                hours = int(_WAIT_MAX_S // 3600)
                raise TimeoutError(f"{name} is held by other runs for more than {hours} hours (`exclusive`)") from None
        await asyncio.sleep(pause_s * (0.5 + workflow.random().random()))
        pause_s = min(_MOST_S, pause_s * 2)


def _gave_up(pipeline: Pipeline, effect: EvaluateGate, why: str) -> VerdictGiven:
    gate = find_gate(pipeline, effect.gate)[1]
    return VerdictGiven(
        effect.subject,
        effect.gate,
        effect.number,
        VerdictStatus.ERRORED,
        (Finding("infrastructure", f"{why}: find the run that holds it, and cancel it"),),
        tree=effect.tree,
        retry_at=workflow.now().timestamp() + _RETRY_S,
        hard=gate.gate_class is GateClass.HARD,
    )
