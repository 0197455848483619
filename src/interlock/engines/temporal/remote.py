"""A run on a Temporal server, as a machine with its repository sees it: it is started, copied into the local journal,
answered, and delivered into the repository from here.

Rule: what the workflow says is the history. The local journal is a copy of it, behind by a second at most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from temporalio.client import Client, RPCError, WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from interlock.core.events import HandoffAccepted, Recorded
from interlock.core.inbox import feedback_of, taken
from interlock.core.plan import plan
from interlock.core.wire import decode_record, encode_event
from interlock.engines.owner import Drive
from interlock.engines.reconcile import reconcile
from interlock.engines.temporal.fleet import THE_RUN, waiting
from interlock.engines.temporal.messages import (
    ANSWER,
    HISTORY,
    WORKFLOW,
    Documents,
    RunInput,
    event_row,
    made_commit,
)
from interlock.engines.temporal.server import Server
from interlock.engines.temporal.worker import Performer, Serving, serve
from interlock.execution.context import refer
from interlock.gates.locks import WaitingWork, show_waiting
from interlock.pipelinefile import encode_pipeline
from interlock.ports import InfrastructureError

Told = TypeVar("Told")

_LOOK_S = 0.5  # between two looks at a history in which nothing happens
_FIRST_LOOK_S = 0.05
_WAITING_LOOK_S = 2.0
_UNREACHED_MAX_S = 60.0


@dataclass(slots=True)
class RemoteEngine:
    """Implements `owner.Driving`. `repository` names this clone among all that deliver; the blobs of the world of `run`
    are shared with the workers."""

    server: Server
    repository: str
    places: int
    run: Drive
    slots: Path  # where it is shown what waits for a worker
    _sent: set[str] = field(default_factory=set)  # answers
    _waiting: tuple[WaitingWork, ...] = ()

    def drive(self) -> None:
        """Copy the run's history until it is finished or waits for a human, or until `stop`. Raises
        InfrastructureError if the server is out of reach for a minute: the run continues there."""
        asyncio.run(self._drive())

    async def _drive(self) -> None:
        client = await self.server.connect()
        handle = await self._started(client)
        beside = [asyncio.create_task(self._deliver(client)), asyncio.create_task(self._show_waiting(handle))]
        try:
            pause = _FIRST_LOOK_S
            while not self.run.stop.is_set():
                await self._answer(handle)
                news = await self._reached(partial(self._copy, handle))
                if self._rests():
                    return
                pause = _FIRST_LOOK_S if news else min(_LOOK_S, pause * 2)
                await asyncio.sleep(pause)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _started(self, client: Client) -> WorkflowHandle[Any, Any]:
        """The workflow of the run. It is started if the local journal knows no more of it than its start."""
        name = f"interlock-{self.run.ledger.run}"
        if self.run.ledger.state.seq > 1:
            return client.get_workflow_handle(name)
        try:
            return await client.start_workflow(
                WORKFLOW,
                await asyncio.to_thread(self._input),
                id=name,
                task_queue=self.server.queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            return client.get_workflow_handle(name)

    def _input(self) -> RunInput:
        ledger, blobs = self.run.ledger, self.run.world.blobs
        return RunInput(
            pipeline=encode_pipeline(ledger.pipeline),
            started=encode_event(ledger.started),
            documents=Documents(**asdict(refer(self.run.context, blobs))),
            base_pack=blobs.put(self.run.world.workspaces.pack(ledger.started.base_commit)),
            delivery=self.server.delivery(self.repository),
            places=self.places,
        )

    async def _deliver(self, client: Client) -> None:
        performer = Performer(self.run.world, self.run.context.environ)
        await serve(client, performer, (Serving(self.server.delivery(self.repository), 1),), lambda: None)

    async def _show_waiting(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Let everybody on this machine see what waits for a worker."""
        with ExitStack() as stack:
            shown: dict[WaitingWork, ExitStack] = {}
            while True:
                with suppress(RPCError):
                    found = self._waiting = await waiting(handle, self.run.ledger.run)
                    for one in set(shown).difference(found):
                        shown.pop(one).close()
                    for one in set(found).difference(shown):
                        shown[one] = stack.enter_context(ExitStack())
                        shown[one].enter_context(show_waiting(self.slots, one))
                await asyncio.sleep(_WAITING_LOOK_S)

    async def _answer(self, handle: WorkflowHandle[Any, Any]) -> None:
        for answer in self.run.answers():
            if answer.id not in self._sent:
                comment = feedback_of(answer)
                row = event_row(taken(answer, self.run.world.blobs.put(comment) if comment else ""))
                await self._reached(partial(handle.execute_update, ANSWER, row, id=answer.id))
                self._sent.add(answer.id)

    async def _copy(self, handle: WorkflowHandle[Any, Any]) -> bool:
        """Append what is new. Whether there was anything."""
        rows = await handle.query(HISTORY, self.run.ledger.state.seq, result_type=list)
        for record in map(decode_record, rows):
            await asyncio.to_thread(self._take, record)
        return bool(rows)

    def _take(self, record: Recorded) -> None:
        """The commit first: what the journal tells of is here."""
        made = made_commit(record.event)
        if made is not None and not self.run.world.workspaces.has(made[0]):
            self.run.world.workspaces.receive(made[0], self.run.world.blobs.get(made[1]), is_base=False)
        if isinstance(record.event, HandoffAccepted) and self.run.world.records is not None:
            self.run.world.records.take(self.run.ledger.run, record.event.record)
        self.run.ledger.copy(record)

    def _rests(self) -> bool:
        """Whether it is finished, or only a human can move it."""
        if self.run.ledger.state.finished is not None:
            return True
        if self.run.answers():
            return False
        turn = reconcile(plan(self.run.ledger.pipeline, self.run.ledger.state), (), self.places)
        return turn.rests and turn.alarm is None

    def _silent(self, error: RPCError) -> str:
        """Why nothing was heard of the run for long."""
        then = f"`interlock resume {self.run.ledger.run}` follows it again"
        if any(one.subject == THE_RUN for one in self._waiting):
            return (
                f"no controller serves the queue {self.server.queue} at {self.server.address}: start one with"
                f" `interlock worker --controller`; the run continues then, and {then}"
            )
        return (
            f"the Temporal server at {self.server.address} does not answer ({error}): the run continues there; {then}"
        )

    async def _reached(self, ask: Callable[[], Awaitable[Told]]) -> Told:
        """Ask the server, again while it is out of reach, for a minute at most."""
        since = time.monotonic()
        while True:
            try:
                return await ask()
            except RPCError as error:
                if time.monotonic() - since > _UNREACHED_MAX_S or self.run.stop.is_set():
                    raise InfrastructureError(self._silent(error)) from error
                await asyncio.sleep(_LOOK_S)
