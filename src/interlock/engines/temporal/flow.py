"""A run as a workflow: what is wanted is planned, reconciled, admitted and folded by the core, as everywhere.

Rule: only what a replay decides alike may be asked here: no clock but the workflow's, no file, no thread.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, TemporalError, is_cancelled_exception

from interlock.core.admission import admit
from interlock.core.answers import must_wait
from interlock.core.effects import Decision, DeliverBranch, EvaluateGate, Operation, StartAttempt, key
from interlock.core.events import (
    AnswerTaken,
    AttemptLost,
    Event,
    OwnerChanged,
    Recorded,
    Refused,
    RunStarted,
    TimeReached,
)
from interlock.core.facts import claim, decided, refused
from interlock.core.fold import apply
from interlock.core.plan import plan
from interlock.core.state import RunState
from interlock.core.wire import decode_event, encode_effect, encode_record
from interlock.engines.reconcile import reconcile
from interlock.engines.temporal.messages import (
    ANSWER,
    HISTORY,
    KEEP,
    PERFORM,
    WORKFLOW,
    EffectInput,
    EventRow,
    HistoryInput,
    PackRow,
    RunInput,
    made_commit,
    packed,
    unpacked,
)
from interlock.pipelinefile import decode_pipeline

_PAGE = 500  # records that one query returns at most
_LONG, _LARGE = 20_000, 20_000_000  # events, bytes of a history
_ATTEMPT_MAX = timedelta(days=2)
_SMALL_MAX = timedelta(minutes=30)
_DELIVERY_MAX = timedelta(days=365)  # somebody has to come to the repository
_ONCE = RetryPolicy(maximum_attempts=1)
_AGAIN = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=30))


@workflow.defn(name=WORKFLOW)
class RunWorkflow:
    """One run, from its first event to its last. It begins anew, with its history, when the server suggests it."""

    @workflow.init
    def __init__(self, given: RunInput) -> None:
        self._given = given
        self._pipeline = decode_pipeline(given.pipeline)
        started = decode_event("RunStarted", given.started)
        assert isinstance(started, RunStarted)
        self._started = started
        self._records: list[Recorded] = unpacked(given.records)
        self._state = RunState()
        for record in self._records:
            self._state = apply(self._state, record)
        self._answered = {answer for record in self._records if (answer := _answer_of(record.event))}
        self._packs = {made[0]: made[1] for record in self._records if (made := made_commit(record.event))}
        self._in_flight: dict[str, tuple[Operation, asyncio.Task[None]]] = {}
        self._waiting: list[AnswerTaken] = []
        self._moved = 0

    @workflow.run
    async def run(self, given: RunInput) -> str:
        """Returns the status of the finished run."""
        if not self._records:
            self._append(self._started, given.documents.started_at)
            self._append(OwnerChanged(1, "temporal"))
        while self._state.finished is None:
            seen = self._moved
            self._take_answers()
            turn = reconcile(plan(self._pipeline, self._state), self._effects(), given.places)
            for unwanted in turn.cancel:
                self._in_flight[key(unwanted)][1].cancel()
            if self._moved == seen and self._may_begin_anew():
                await self._keep()
                if self._moved == seen and self._may_begin_anew():
                    workflow.continue_as_new(replace(given, records=packed(self._records)))
                continue
            for effect in turn.start:
                if isinstance(effect, Decision) or not self._must_begin_anew():
                    self._start(effect)
            if self._moved != seen:
                continue
            await self._wait(seen, turn.alarm)
        await self._keep()
        await workflow.wait_condition(lambda: not self._in_flight and workflow.all_handlers_finished())
        return self._state.finished.status

    @workflow.query(name=HISTORY)
    def history(self, after: int) -> list[str]:
        """The next records beyond seq `after`, a bounded number of them."""
        return [encode_record(record) for record in self._records[after : after + _PAGE]]

    @workflow.update(name=ANSWER)
    async def answer(self, row: EventRow) -> None:
        """Take a person's answer; what became of it stands in the history. The same answer twice is one."""
        event = decode_event(*row)
        assert isinstance(event, AnswerTaken)
        if event.answer not in self._answered:
            self._answered.add(event.answer)
            self._waiting.append(event)
            self._moved += 1

    def _take_answers(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            if must_wait(self._state, event.action):
                self._waiting.append(event)
                continue
            why = admit(self._state, event)
            self._append(Refused("answer", event.answer, why, event) if why else event)

    def _effects(self) -> tuple[Operation, ...]:
        return tuple(effect for effect, _ in self._in_flight.values())

    def _may_begin_anew(self) -> bool:
        return (
            workflow.info().is_continue_as_new_suggested()
            and not self._in_flight
            and not self._waiting
            and workflow.all_handlers_finished()
        )

    def _must_begin_anew(self) -> bool:
        """Whether nothing more may be put in flight: the server ends a history of 50,000 events, or of 50 MB."""
        info = workflow.info()
        is_long = info.get_current_history_length() > _LONG or info.get_current_history_size() > _LARGE
        return is_long and info.is_continue_as_new_suggested()

    async def _keep(self) -> None:
        """The history goes among the blobs, where it stays when the server forgets it."""
        given = HistoryInput(self._started.run, packed(self._records))
        await workflow.execute_local_activity(KEEP, given, start_to_close_timeout=_SMALL_MAX, retry_policy=_AGAIN)

    async def _wait(self, seen: int, alarm: float | None) -> None:
        """Until something moved, or until the time of the alarm."""
        left = None if alarm is None else timedelta(seconds=max(0.0, alarm - workflow.now().timestamp()))
        try:
            await workflow.wait_condition(lambda: self._moved != seen, timeout=left)
        except TimeoutError:
            assert alarm is not None
            self._record(TimeReached(alarm))

    # --- recording

    def _record(self, event: Event) -> Recorded | None:
        """Append the event, or that it was refused and return None: as `execution.ledger` does."""
        if why := admit(self._state, event):
            self._append(refused(event, why))
            return None
        return self._append(event)

    def _append(self, event: Event, at: float | None = None) -> Recorded:
        record = Recorded(self._state.seq + 1, workflow.now().timestamp() if at is None else at, event)
        self._state = apply(self._state, record)
        self._records.append(record)
        if made := made_commit(event):
            self._packs[made[0]] = made[1]
        self._moved += 1
        return record

    # --- effects

    def _start(self, effect: Operation | Decision) -> None:
        if isinstance(effect, Decision):
            self._record(decided(self._pipeline, effect))
            return
        claimed = None
        if isinstance(effect, StartAttempt):
            claimed = self._record(claim(self._pipeline, effect, self._started.sandbox))
            if claimed is None:
                return
        task = asyncio.create_task(self._perform(effect, claimed))
        self._in_flight[key(effect)] = (effect, task)

    async def _perform(self, effect: Operation, claimed: Recorded | None) -> None:
        try:
            for kind, body in await self._activity(effect, claimed):
                self._record(decode_event(kind, body))
        except (TemporalError, asyncio.CancelledError) as error:
            if not is_cancelled_exception(error):
                self._failed(effect, error)
        finally:
            self._in_flight.pop(key(effect), None)
            self._moved += 1

    def _failed(self, effect: Operation, error: BaseException) -> None:
        """Its worker is gone, or failed in a way that it has no words for."""
        if not isinstance(effect, StartAttempt):
            raise error
        self._record(AttemptLost(effect.attempt, f"its worker reports no more: {_cause(error)}"))

    async def _activity(self, effect: Operation, claimed: Recorded | None) -> list[EventRow]:
        text = encode_effect(effect)
        given = EffectInput(
            documents=self._given.documents,
            effect=text,
            claim=encode_record(claimed) if claimed else "",
            packs=self._needed(text),
        )
        beat = timedelta(seconds=self._given.heartbeat_s)
        result: list[EventRow]
        if isinstance(effect, StartAttempt | EvaluateGate):
            result = await workflow.execute_activity(
                PERFORM, given, result_type=list, start_to_close_timeout=_ATTEMPT_MAX, heartbeat_timeout=beat,
                retry_policy=_ONCE if isinstance(effect, StartAttempt) else _AGAIN,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )  # fmt: skip
        elif isinstance(effect, DeliverBranch):
            result = await workflow.execute_activity(
                PERFORM, given, result_type=list, task_queue=self._given.delivery, heartbeat_timeout=beat,
                schedule_to_close_timeout=_DELIVERY_MAX, retry_policy=_AGAIN,
            )  # fmt: skip
        else:
            result = await workflow.execute_local_activity(
                PERFORM, given, result_type=list, start_to_close_timeout=_SMALL_MAX, retry_policy=_AGAIN
            )
        return result

    def _needed(self, text: str) -> list[PackRow]:
        """The pack of the base, and of each commit that the effect names."""
        base = (self._started.base_commit, self._given.base_pack)
        return [base, *((commit, pack) for commit, pack in self._packs.items() if commit in text)]


def _answer_of(event: Event) -> str:
    """The answer that an event settles; empty if it settles none."""
    if isinstance(event, Refused) and event.what == "answer":
        return event.subject
    return event.answer if isinstance(event, AnswerTaken) else ""


def _cause(error: BaseException) -> BaseException:
    """What an error of the server was caused by, at the end of the chain."""
    while isinstance(error, FailureError) and error.cause is not None:
        error = error.cause
    return error
