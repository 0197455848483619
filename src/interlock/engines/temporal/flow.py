"""A run as a workflow: what is wanted is planned, reconciled, admitted and folded by the core, as everywhere.

Rule: only what a replay decides alike may be asked here: no clock but the workflow's, no file, no thread.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TemporalError, is_cancelled_exception

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
from interlock.core.facts import claim, decided, failed, refused, tries_before
from interlock.core.fold import apply
from interlock.core.limits import tried_again_at
from interlock.core.plan import plan
from interlock.core.state import RunState
from interlock.core.wire import decode_event, encode_effect, encode_record
from interlock.engines.reconcile import reconcile
from interlock.engines.temporal.messages import (
    ANSWER,
    HISTORY,
    LASTING,
    PASSING,
    PERFORM,
    WORKFLOW,
    EffectInput,
    EventRow,
    PackRow,
    RunInput,
    made_commit,
    packed,
    unpacked,
)
from interlock.pipelinefile import decode_pipeline

_PAGE = 500  # records that one query returns at most
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
            for effect in turn.start:
                self._start(effect)
            if self._moved != seen:
                continue
            if self._may_begin_anew():
                workflow.continue_as_new(replace(given, records=packed(self._records)))
            await self._wait(seen, turn.alarm)
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
        if event.answer not in self._answers():
            self._waiting.append(event)
            self._moved += 1

    def _answers(self) -> set[str]:
        taken = {record.event.answer for record in self._records if isinstance(record.event, AnswerTaken)}
        refused = {record.event.subject for record in self._records if isinstance(record.event, Refused)}
        return taken | refused | {event.answer for event in self._waiting}

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
        """Its worker is gone, or could not begin, or has no words for what happened: a fact, which is counted."""
        cause = error.cause if isinstance(error, ActivityError) and error.cause else error
        if isinstance(effect, StartAttempt) and not isinstance(cause, ApplicationError):
            self._record(AttemptLost(effect.attempt, f"its worker reports no more: {cause}"))
            return
        permanent = isinstance(cause, ApplicationError) and cause.type != PASSING
        why = str(cause)
        if isinstance(cause, ApplicationError):
            why = cause.message if cause.type in (PASSING, LASTING) else f"a defect of Interlock on its worker: {cause}"
        now, backoff_s = workflow.now().timestamp(), self._given.documents.backoff_s
        retry_at = tried_again_at(now, backoff_s, tries_before(effect))
        self._record(failed(self._pipeline, effect, why, retry_at, permanent=permanent))

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
