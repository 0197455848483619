"""A run on a Temporal server, as a machine with its repository sees it: it is started, copied into the local journal,
answered, and delivered into the repository from here.

Rule: what the workflow says is the history. The local journal is a copy of it, behind by a second at most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    RPCError,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCStatusCode

from interlock.core.events import Recorded
from interlock.core.judging import in_repository
from interlock.core.plan import plan
from interlock.core.state import RunState
from interlock.core.wire import encode_event
from interlock.engines.owner import Drive
from interlock.engines.reconcile import reconcile
from interlock.engines.temporal.access import plainly
from interlock.engines.temporal.builds import silence
from interlock.engines.temporal.fleet import THE_RUN, waiting
from interlock.engines.temporal.histories import history_of, kept_history
from interlock.engines.temporal.messages import (
    ANSWER,
    UNREADABLE,
    WORKFLOW,
    Documents,
    RunInput,
)
from interlock.engines.temporal.reading import answer_row, memo, take_in, told_by, told_once, workflow_of
from interlock.engines.temporal.server import Server, delivery_of, runs_of
from interlock.engines.temporal.worker import Performer, Serving, serve
from interlock.execution.context import refer
from interlock.gates.locks import WaitingWork, show_waiting
from interlock.journal.mirror import require_next
from interlock.pipelinefile import encode_pipeline
from interlock.ports import InfrastructureError

Told = TypeVar("Told")

_LOOK_S = 0.5  # between two looks at a history in which nothing happens
_FIRST_LOOK_S = 0.2
_WAITING_LOOK_S = 2.0
_UNREACHED_MAX_S = 60.0
_SILENT_MAX_S = 30.0  # of the controllers of a run


@dataclass(slots=True)
class RemoteEngine:
    """Implements `owner.Driving`. `repository` names this clone among all that deliver; the blobs of the world of `run`
    are shared with the workers."""

    server: Server
    repository: str
    places: int
    run: Drive
    slots: Path  # where it is shown what waits for a worker
    known: Callable[[str, int], RunState | None]  # as `Performer.known`: processes here deliver for each other
    is_home: bool = True  # whether the run's branch is made in this repository
    _sent: set[str] = field(default_factory=set)  # answers
    _waiting: tuple[WaitingWork, ...] = ()

    def drive(self) -> None:
        """Copy the run's history until it is finished or waits for a human, or until `stop`. Raises
        InfrastructureError if the server is out of reach for a minute: the run continues there."""
        asyncio.run(self._drive())

    async def _drive(self) -> None:
        client, blobs = await self.server.connect(), await asyncio.to_thread(self.server.mark)
        handle = await self._started(client, blobs)
        ended = asyncio.create_task(_ended(handle))
        beside: list[asyncio.Task[Any]] = [ended, asyncio.create_task(self._show_waiting(client, handle))]
        if self.is_home:
            beside.append(asyncio.create_task(self._deliver(client, blobs)))
        try:
            await self._follow(handle, ended)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _follow(self, handle: WorkflowHandle[Any, Any], ended: asyncio.Task[str]) -> None:
        pause = _FIRST_LOOK_S
        while not self.run.stop.is_set():
            await self._answer(handle)
            news = await self._news(handle, ended)
            await self._take(news)
            if self._rests():
                return
            pause = _FIRST_LOOK_S if news else min(_LOOK_S, pause * 2)
            await (asyncio.sleep(pause) if ended.done() else asyncio.wait({ended}, timeout=pause))

    async def _started(self, client: Client, blobs: str) -> WorkflowHandle[Any, Any]:
        """The workflow of the run. It is started if nobody knows more of it than its start: a server may forget."""
        run, name = self.run.ledger.run, workflow_of(self.run.ledger.run)
        if self.run.ledger.state.seq > 1 or await asyncio.to_thread(kept_history, self.server.blobs, run) is not None:
            return await self._known(client, name)
        try:
            given = await asyncio.to_thread(self._input, blobs)
            return await client.start_workflow(
                WORKFLOW,
                given,
                id=name,
                task_queue=runs_of(self.server.queue, blobs),
                memo=memo(given.base_pack),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            return await self._known(client, name)

    async def _known(self, client: Client, name: str) -> WorkflowHandle[Any, Any]:
        """Raises InfrastructureError if it has other blobs than we."""
        handle = client.get_workflow_handle(name)
        with suppress(RPCError):  # whoever asks it next says what to do
            described = await handle.describe()
            await asyncio.to_thread(self.server.check_run, self.run.ledger.run, described.task_queue)
        return handle

    def _input(self, mark: str) -> RunInput:
        ledger, blobs = self.run.ledger, self.run.world.blobs
        return RunInput(
            pipeline=encode_pipeline(ledger.pipeline),
            started=encode_event(ledger.started),
            documents=Documents(**asdict(refer(self.run.context, blobs))),
            base_pack=blobs.put(self.run.world.workspaces.pack(ledger.started.base_commit)),
            delivery=delivery_of(self.server.queue, mark, self.repository),
            places=self.places,
        )

    async def _deliver(self, client: Client, blobs: str) -> None:
        performer = Performer(self.run.world, self.run.context.environ, self.server.blobs, self.known)
        serving = Serving(delivery_of(self.server.queue, blobs, self.repository), self.places)
        await serve(client, performer, serving, lambda _: None)

    async def _show_waiting(self, client: Client, handle: WorkflowHandle[Any, Any]) -> None:
        """Let everybody on this machine see what waits for a worker."""
        with ExitStack() as stack:
            shown: dict[WaitingWork, ExitStack] = {}
            while True:
                with suppress(RPCError):
                    found = self._waiting = await waiting(client, handle, self.server.queue, self.run.ledger.run)
                    for one in set(shown).difference(found):
                        shown.pop(one).close()
                    for one in set(found).difference(shown):
                        shown[one] = stack.enter_context(ExitStack())
                        shown[one].enter_context(show_waiting(self.slots, one))
                await asyncio.sleep(_WAITING_LOOK_S)

    async def _answer(self, handle: WorkflowHandle[Any, Any]) -> None:
        """All that lie in the inbox at once: of several, the newest decides."""
        new = [answer for answer in self.run.answers() if answer.id not in self._sent]
        if not new:
            return
        world, base = self.run.world, self.run.ledger.started.base_commit
        rows = [await asyncio.to_thread(answer_row, world.workspaces, world.blobs, answer, base) for answer in new]
        with suppress(RPCError):  # the run has ended, or is nowhere: the history tells
            await self._reached(handle, partial(handle.execute_update, ANSWER, rows, id=told_once(new)))
        self._sent.update(answer.id for answer in new)

    async def _news(self, handle: WorkflowHandle[Any, Any], ended: asyncio.Task[str]) -> list[Recorded]:
        """What is new. An ended run is read among the blobs: a controller would replay all of it to answer."""
        seq = self.run.ledger.state.seq
        if not ended.done():
            asked = asyncio.create_task(self._asked(handle, seq))
            await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return await asked
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        return await asyncio.to_thread(self._kept, ended.result(), seq) or await self._asked(handle, seq)

    def _kept(self, digest: str, seq: int) -> list[Recorded]:
        """What is beyond event `seq` in the history that was kept under `digest`; nothing if it cannot be read."""
        with suppress(InfrastructureError):
            return history_of(self.server.blobs, self.run.ledger.run, digest)[seq:]
        return []

    async def _asked(self, handle: WorkflowHandle[Any, Any], seq: int) -> list[Recorded]:
        """What the workflow tells beyond event `seq`."""
        try:
            records = await self._reached(handle, partial(told_by, handle, self.run.ledger.run, seq))
        except RPCError as error:
            raise InfrastructureError(
                f"the Temporal server at {self.server.address}, namespace {self.server.namespace}, does not know run"
                f" {self.run.ledger.run}, and what is known of it ends with event {seq}: correct temporal.address,"
                " namespace or blobs, or start a new run",
                permanent=True,
            ) from error
        return records

    async def _take(self, records: Sequence[Recorded]) -> None:
        """Raises Damaged where these do not follow on what is here. Of each the commit first: what the journal tells
        of is here."""
        world, ledger = self.run.world, self.run.ledger
        require_next(ledger.run, ledger.state.seq, records)
        for record in records:
            await asyncio.to_thread(take_in, world.workspaces, world.blobs, world.records, ledger.run, record)
            await asyncio.to_thread(ledger.copy, record)

    def _rests(self) -> bool:
        """Whether it is finished, or only a human can move it."""
        if self.run.ledger.state.finished is not None:
            return True
        if self.run.answers():
            return False
        wanted = plan(self.run.ledger.pipeline, self.run.ledger.state)
        if wanted and not self.is_home and all(in_repository(self.run.ledger.pipeline, one) for one in wanted):
            return True
        turn = reconcile(wanted, (), self.places)
        return turn.rests and turn.alarm is None

    def _silent(self, error: RPCError) -> str:
        """Why nothing was heard of the run for long."""
        then = f"`interlock resume {self.run.ledger.run}` follows it again"
        if any(one.subject == THE_RUN for one in self._waiting):
            return (
                f"no controller serves the queue {self.server.queue} at {self.server.address}: start one with"
                f" `interlock worker --controller`; the run continues then, and {then}"
            )
        why = plainly(error)
        return f"the Temporal server at {self.server.address} does not answer ({why}): the run continues there; {then}"

    async def _reached(self, handle: WorkflowHandle[Any, Any], ask: Callable[[], Awaitable[Told]]) -> Told:
        """Ask the workflow, again while the server is out of reach, for a minute at most. Raises RPCError if the server
        does not know the run."""
        since = time.monotonic()
        while True:
            try:
                return await asyncio.wait_for(ask(), _SILENT_MAX_S)
            except WorkflowUpdateFailedError as error:
                raise InfrastructureError(f"run {self.run.ledger.run} refuses the answer: {error.cause}") from error
            except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
                raise InfrastructureError(await silence(handle, self.run.ledger.run)) from error
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    raise
                if time.monotonic() - since > _UNREACHED_MAX_S or self.run.stop.is_set():
                    raise InfrastructureError(self._silent(error)) from error
                await asyncio.sleep(_LOOK_S)


async def _ended(handle: WorkflowHandle[Any, Any]) -> str:
    """The digest of the history of the run, once it has ended; empty if its workflow ended in another way."""
    while True:
        try:
            return str(await handle.result())
        except (WorkflowFailureError, InfrastructureError, *UNREADABLE):
            return ""
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return ""
            await asyncio.sleep(_LOOK_S)
