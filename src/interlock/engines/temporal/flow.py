"""A run as a workflow: what is wanted is planned, reconciled, admitted and folded by the core, as everywhere.

Rule: only what a replay decides alike may be asked here: no clock but the workflow's, no file, no thread. What the
server says of the length of a history is no such thing: where workflow tasks followed each other while a local activity
was at work, a replay is told what was true of the last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    TemporalError,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as TimedOut

from interlock.core.admission import admit
from interlock.core.answers import must_wait
from interlock.core.effects import Decision, EvaluateGate, Operation, StartAttempt, key
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
from interlock.core.facts import claim, decided, failed, on_worker, refused, tries_before
from interlock.core.fold import apply
from interlock.core.judging import in_repository
from interlock.core.limits import tried_again_at
from interlock.core.plan import plan
from interlock.core.state import RunState
from interlock.core.wire import decode_event, encode_effect, encode_record
from interlock.engines.reconcile import reconcile
from interlock.engines.temporal.exclusive import alone, names_of
from interlock.engines.temporal.fleet import PLACE, activity_id, of_repository, place_input
from interlock.engines.temporal.messages import (
    ANSWER,
    HISTORY,
    KEEP,
    PERFORM,
    TAKEN_BY_ITS_MAKER,
    UNREADABLE,
    WORKFLOW,
    EffectInput,
    EventRow,
    HistoryInput,
    PackRow,
    RunInput,
    answer_of,
    made_by,
    made_commit,
    packed,
    reported,
    unpacked,
)
from interlock.engines.temporal.needs import Need, need_of
from interlock.engines.temporal.payloads import read_answer, told_by_worker, unreadable_report, value_of
from interlock.pipelinefile import decode_pipeline
from interlock.ports import InfrastructureError

_PAGE = 500  # records that one query returns at most
_LONG = 4_000  # events of the server's history: then the run begins anew once nothing is in flight
_TOO_LONG = 12_000  # then nothing more is put in flight: the server would end the run at 50,000, or at 50 MB
_OF_TASK, _OF_NAME, _OF_ANSWER, _OF_ALARM = 12, 20, 8, 5  # events at most: a task with its place, an exclusive name
_ATTEMPT_MAX = timedelta(days=2)
_SMALL_MAX = timedelta(minutes=30)
_REPOSITORY_MAX = timedelta(days=365)  # somebody has to come to the repository
_ONCE = RetryPolicy(maximum_attempts=1)
_WAITED_MIN_S = 5.0
_LOOK_MAX = timedelta(seconds=30)
_SEEKING_MAX = 64
_SEEK = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=10))
_KEPT = timedelta(minutes=1)  # how long a place is believed to be a good one
_PATIENCE = timedelta(seconds=30)  # until it is asked whether anybody serves the place still; twice as long then
_PATIENCE_MAX = timedelta(minutes=10)
_FAR_S = 1e8  # three years: the longest timer
_AGAIN = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=30))


@workflow.defn(name=WORKFLOW)
class RunWorkflow:
    """One run, from its first event to its last. It begins anew, with its history, when that of the server is long."""

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
        self._answered = {answer for record in self._records if (answer := answer_of(record.event))}
        self._makers = dict(maker for record in self._records if (maker := made_by(record.event)))
        self._packs = {made[0]: made[1] for record in self._records if (made := made_commit(record.event))}
        self._in_flight: dict[str, tuple[Operation, asyncio.Task[None]]] = {}
        self._waiting: list[AnswerTaken] = []
        self._moved = 0
        self._long = 0  # events of the server's history since the run began, at most, as we count them
        self._seeking: set[str] = set()  # keys of effects for which a place is looked for: they take none
        self._places: dict[Need, tuple[str, datetime]] = {}  # task queues, and until when they are good

    @workflow.run
    async def run(self, given: RunInput) -> str:
        """Returns the status of the finished run."""
        if not self._records:
            self._append(self._started, given.documents.started_at)
            self._append(OwnerChanged(1, "temporal"))
        while self._state.finished is None:
            seen = self._moved
            self._take_answers()
            places = given.places + min(len(self._seeking), _SEEKING_MAX)
            turn = reconcile(plan(self._pipeline, self._state), self._effects(), places)
            for unwanted in turn.cancel:
                self._in_flight[key(unwanted)][1].cancel()
            if self._moved == seen and self._may_begin_anew():
                await self._keep()
                if self._moved == seen and self._may_begin_anew():
                    workflow.continue_as_new(replace(given, records=packed(self._records)))
                continue
            for effect in turn.start:
                if isinstance(effect, Decision) or self._long < _TOO_LONG:
                    self._start(effect)
            if self._moved != seen:
                continue
            await self._wait(seen, turn.alarm)
        await self._keep()
        await workflow.wait_condition(lambda: not self._in_flight and workflow.all_handlers_finished())
        self._take_answers()  # those that came too late are told so
        return self._state.finished.status

    @workflow.query(name=HISTORY)
    def history(self, after: int) -> list[str]:
        """The next records beyond seq `after`, a bounded number of them."""
        return [encode_record(record) for record in self._records[after : after + _PAGE]]

    @workflow.update(name=ANSWER)
    async def answer(self, rows: list[EventRow]) -> None:
        """Take a person's answers, all in one turn; what became of them stands in the history. The same answer twice is
        one."""
        for event in map(read_answer, rows):
            if event.answer not in self._answered:
                self._answered.add(event.answer)
                self._long += _OF_ANSWER
                self._waiting.append(event)
                self._moved += 1

    @answer.validator
    def check_answer(self, rows: list[EventRow]) -> None:
        """What is no answer is refused, and reaches no history."""
        for row in rows:
            read_answer(row)

    def _take_answers(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            if must_wait(self._state, event.action):
                self._waiting.append(event)
                continue
            self._take(event)

    def _take(self, event: AnswerTaken) -> None:
        """Whatever is wrong with it, the run goes on."""
        try:
            why = admit(self._state, event)
            if not why:
                self._append(event)
                return
        except UNREADABLE as error:
            why = f"it cannot be taken: {error!s:.500}"
        self._append(Refused("answer", event.answer, why, event))

    def _effects(self) -> tuple[Operation, ...]:
        return tuple(effect for effect, _ in self._in_flight.values())

    def _may_begin_anew(self) -> bool:
        return self._long >= _LONG and not self._in_flight and not self._waiting and workflow.all_handlers_finished()

    async def _keep(self) -> None:
        """The history goes among the blobs, where it stays when the server forgets it."""
        given = HistoryInput(self._started.run, packed(self._records))
        await workflow.execute_local_activity(KEEP, given, start_to_close_timeout=_SMALL_MAX, retry_policy=_AGAIN)

    async def _wait(self, seen: int, alarm: float | None) -> None:
        """Until something moved, or until the time of the alarm."""
        self._long += _OF_ALARM if alarm is not None else 0
        left = None if alarm is None else timedelta(seconds=max(0.0, min(_FAR_S, alarm - workflow.now().timestamp())))
        try:
            await workflow.wait_condition(lambda: self._moved != seen, timeout=left)
        except TimeoutError:
            assert alarm is not None
            if left is not None and left.total_seconds() < _FAR_S:
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
        if maker := made_by(event):
            self._makers[maker[0]] = maker[1]
        self._moved += 1
        return record

    # --- effects

    def _start(self, effect: Operation | Decision) -> None:
        """Perform it, or find a place first: what is claimed has one. Then it is planned again."""
        if isinstance(effect, Decision):
            self._record(decided(self._pipeline, effect))
            return
        need = need_of(self._pipeline, effect, self._maker(effect))
        place = self._place(need) if need else ""
        if need and not place:
            self._launch(effect, self._seek(effect, need))
            return
        claimed = None
        if isinstance(effect, StartAttempt):
            claimed = self._record(
                claim(self._pipeline, effect, self._given.documents.sandbox or self._started.sandbox)
            )
            if claimed is None:
                return
        self._launch(effect, self._perform(effect, claimed, need, place))

    def _launch(self, effect: Operation, work: Coroutine[Any, Any, object]) -> None:
        self._long += _OF_TASK
        self._in_flight[key(effect)] = (effect, asyncio.create_task(self._followed(effect, work)))

    async def _followed(self, effect: Operation, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except (TemporalError, asyncio.CancelledError) as error:
            if not is_cancelled_exception(error):
                self._failed(effect, error)
        except (*UNREADABLE, InfrastructureError) as error:
            self._failed(effect, unreadable_report(error))
        finally:
            self._in_flight.pop(key(effect), None)
            self._moved += 1

    async def _perform(self, effect: Operation, claimed: Recorded | None, need: Need | None, place: str) -> None:
        async def work() -> list[EventRow]:
            given = self._effect_input(effect, claimed, need)
            raw = await (self._small(effect, given) if need is None else self._remote(effect, given, need, place))
            rows: list[EventRow] = value_of(raw, workflow.payload_converter())
            return rows

        self._long += _OF_NAME * len(names_of(self._pipeline, effect))
        self._record(reported(effect, await alone(self._pipeline, effect, work)))

    def _failed(self, effect: Operation, error: BaseException) -> None:
        """Its worker is gone, or could not begin, or has no words for what happened: a fact, which is counted."""
        cause = error.cause if isinstance(error, ActivityError) and error.cause else error
        if isinstance(effect, StartAttempt) and not isinstance(cause, ApplicationError):
            self._record(AttemptLost(effect.attempt, f"its worker reports no more: {cause}"))
            return
        why, permanent = told_by_worker(cause)
        worker = error.identity.partition(" ")[0] if isinstance(error, ActivityError) else ""
        now, backoff_s = workflow.now().timestamp(), self._given.documents.backoff_s
        retry_at = tried_again_at(now, backoff_s, tries_before(effect))
        self._record(on_worker(failed(self._pipeline, effect, why, retry_at, permanent=permanent), worker))

    # --- places

    def _place(self, need: Need) -> str:
        """The task queue that was found for this need; empty if none was, or long ago."""
        place, until = self._places.get(need, ("", workflow.now()))
        return place if workflow.now() < until else ""

    async def _seek(self, effect: Operation, need: Need) -> None:
        self._seeking.add(key(effect))
        self._moved += 1
        began = workflow.now().timestamp()
        try:
            await self._find(effect, need)
            self._leave_out(began)
        finally:
            self._seeking.discard(key(effect))

    def _leave_out(self, began: float) -> None:
        """The time in which nothing of the run was at work, since no worker fits, is none of the run's own."""
        now = workflow.now().timestamp()
        waited_s = now - max(began, self._state.at)
        if waited_s > _WAITED_MIN_S and self._state.stages.busy and self._seeking.issuperset(self._in_flight):
            self._record(TimeReached(now, waited_s))

    async def _find(self, effect: Operation, need: Need) -> str:
        """Find a task queue. Where no worker fits, the same is asked by an activity that is tried until one does: it
        says what is missing, and adds nothing to the history meanwhile."""
        given = place_input(effect, need, workflow.now().timestamp())
        place = ""
        try:
            place = await workflow.execute_local_activity(
                PLACE, given, result_type=str, start_to_close_timeout=_LOOK_MAX, retry_policy=_ONCE
            )
        except TemporalError as error:
            if is_cancelled_exception(error):
                raise
        if not place:
            raw = await workflow.execute_activity(
                PLACE, given, result_type=RawValue, start_to_close_timeout=_LOOK_MAX, retry_policy=_SEEK
            )
            place = str(value_of(raw, workflow.payload_converter()))
        self._places[need] = (place, workflow.now() + _KEPT)
        return place

    async def _remote(self, effect: Operation, given: EffectInput, need: Need, place: str) -> RawValue:
        """By a worker of this place. If none takes it for a while, another place may do."""
        patience = _PATIENCE
        while True:
            try:
                result: RawValue = await workflow.execute_activity(
                    PERFORM, given, result_type=RawValue, task_queue=place,
                    activity_id=activity_id(effect, again=patience > _PATIENCE),
                    start_to_close_timeout=_ATTEMPT_MAX,
                    schedule_to_start_timeout=patience, heartbeat_timeout=timedelta(seconds=self._given.heartbeat_s),
                    retry_policy=_ONCE if isinstance(effect, StartAttempt) else _AGAIN,
                    cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                )  # fmt: skip
                return result
            except ActivityError as error:
                if not _was_taken_by_nobody(error):
                    raise
            self._places.pop(need, None)
            self._long += _OF_TASK
            place = await self._find(effect, need)
            patience = min(patience * 2, _PATIENCE_MAX)

    async def _small(self, effect: Operation, given: EffectInput) -> RawValue:
        """Here, or in the repository of the run."""
        result: RawValue
        if in_repository(self._pipeline, effect):
            result = await workflow.execute_activity(
                PERFORM, given, result_type=RawValue, task_queue=self._given.delivery, retry_policy=_AGAIN,
                activity_id=of_repository(effect),
                schedule_to_close_timeout=_REPOSITORY_MAX, heartbeat_timeout=timedelta(seconds=self._given.heartbeat_s),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )  # fmt: skip
        else:
            result = await workflow.execute_local_activity(
                PERFORM, given, result_type=RawValue, start_to_close_timeout=_SMALL_MAX, retry_policy=_AGAIN
            )
        return result

    def _effect_input(self, effect: Operation, claimed: Recorded | None, need: Need | None) -> EffectInput:
        text = encode_effect(effect)
        return EffectInput(
            documents=self._given.documents,
            effect=text,
            claim=encode_record(claimed) if claimed else "",
            packs=self._needed(text),
            not_by=need.not_by if need else "",
        )

    def _maker(self, effect: Operation) -> str:
        """The worker that made the candidate which the effect judges."""
        return self._makers.get(effect.subject, "") if isinstance(effect, EvaluateGate) else ""

    def _needed(self, text: str) -> list[PackRow]:
        """The pack of the base, and of each commit that the effect names."""
        base = (self._started.base_commit, self._given.base_pack)
        return [base, *((commit, pack) for commit, pack in self._packs.items() if commit in text)]


def _was_taken_by_nobody(error: ActivityError) -> bool:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.type == TAKEN_BY_ITS_MAKER
    return isinstance(cause, TimedOut) and cause.type is TimeoutType.SCHEDULE_TO_START
