"""Names that only one gate of all runs may hold at a time (`exclusive`), over all machines.

Rule: a name is held by a child workflow of the run, whose id is the name: the server lets only one be open. It dies
with its run, so that nobody holds a name for a run that is gone. Names are taken in one order, so that two gates never
wait for each other. Who waits has an activity fail until the name is free, which adds nothing to the history and says
who holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, RPCError, WorkflowExecutionStatus
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.service import RPCStatusCode
from temporalio.workflow import ParentClosePolicy

from interlock.core.effects import EvaluateGate, Operation
from interlock.core.events import Finding, VerdictGiven, VerdictStatus
from interlock.core.judging import find_gate
from interlock.core.pipeline import GateClass, Pipeline
from interlock.engines.temporal.messages import WAITS, EventRow, event_row
from interlock.engines.temporal.turns import Turns

HOLD, FREE = "interlock-hold", "free"
_WAIT_MAX = timedelta(hours=4)  # as on one machine
_LOOK_MAX = timedelta(seconds=30)
_RETRY_S = 60.0
_LOOKS = RetryPolicy(
    initial_interval=timedelta(seconds=0.5), backoff_coefficient=1.5, maximum_interval=timedelta(seconds=10)
)


@workflow.defn(name=HOLD)
class HoldWorkflow:
    """A name that is held until the run that holds it says otherwise, or ends."""

    @workflow.run
    async def run(self) -> None:
        """Returns once it is cancelled."""
        with suppress(asyncio.CancelledError):
            await workflow.wait_condition(lambda: False)


@dataclass(frozen=True)
class Wanted:
    """A name, the workflow that holds it where any does, and for which gate on what it is wanted."""

    subject: str
    gate: str
    name: str
    holder: str


@dataclass(frozen=True, slots=True)
class Names:
    """Sees who holds names."""

    client: Client

    @activity.defn(name=FREE)
    async def free(self, wanted: Wanted) -> None:
        """Fails with who holds the name, and is tried again; else somebody may try to take it."""
        try:
            found = await self.client.get_workflow_handle(wanted.holder).describe(rpc_timeout=_LOOK_MAX)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return
            raise
        if found.status is WorkflowExecutionStatus.RUNNING:
            run = (found.parent_id or "another run").removeprefix("interlock-")
            why = f"waits for {wanted.name}, which a gate of {run} has (`exclusive`)"
            raise ApplicationError(why, wanted.subject, wanted.gate, type=WAITS)


async def alone(
    pipeline: Pipeline, effect: Operation, work: Callable[[], Awaitable[list[EventRow]]], turns: Turns
) -> list[EventRow]:
    """What `work` returns, done while no other gate holds a name of this one; an errored verdict if that took hours."""
    if not isinstance(effect, EvaluateGate) or not (names := names_of(pipeline, effect)):
        return await work()
    async with AsyncExitStack() as stack:
        try:
            await _hold(stack, effect, names, turns)
        except TimeoutError as error:
            return [event_row(_gave_up(pipeline, effect, str(error)))]
        return await work()


def names_of(pipeline: Pipeline, effect: Operation) -> tuple[str, ...]:
    """The names that the effect needs for itself, each once, in the order in which all take them."""
    if not isinstance(effect, EvaluateGate):
        return ()
    return tuple(sorted(set(find_gate(pipeline, effect.gate)[1].exclusive)))


async def _hold(stack: AsyncExitStack, effect: EvaluateGate, names: Sequence[str], turns: Turns) -> None:
    for name in names:
        await stack.enter_async_context(_held(effect, name, turns))


@asynccontextmanager
async def _held(effect: EvaluateGate, name: str, turns: Turns) -> AsyncIterator[None]:
    """Raises TimeoutError in words after four hours of waiting."""
    child = await _started(effect, name, turns)
    try:
        yield
    finally:
        child.cancel()
        with suppress(ChildWorkflowError, asyncio.CancelledError):
            await turns.after(child)


async def _started(effect: EvaluateGate, name: str, turns: Turns) -> workflow.ChildWorkflowHandle[object, object]:
    queue = workflow.info().task_queue.partition(".")[0]  # as the settings call it: a name is held over all blobs
    until, holder = workflow.now() + _WAIT_MAX, f"{queue}-exclusive-{name}"
    while True:
        with suppress(WorkflowAlreadyStartedError):
            asked = workflow.start_child_workflow(HOLD, id=holder, parent_close_policy=ParentClosePolicy.TERMINATE)
            return await turns.after(asked)
        wanted = Wanted(str(effect.subject), effect.gate.partition("/")[2], name, holder)
        try:
            asked_again = workflow.execute_activity(
                FREE, wanted, result_type=RawValue, start_to_close_timeout=_LOOK_MAX, retry_policy=_LOOKS,
                schedule_to_close_timeout=max(until - workflow.now(), _LOOK_MAX),
            )  # fmt: skip
            await turns.after(asked_again)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            hours = int(_WAIT_MAX.total_seconds() // 3600)
            raise TimeoutError(f"{name} is held by other runs for more than {hours} hours (`exclusive`)") from error


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
