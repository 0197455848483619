"""A run as a workflow: what is wanted is planned, reconciled, admitted and folded by the core, as everywhere.

Rule: only what a replay decides alike may be asked here: no clock but the workflow's, no file, no thread. What comes of
work is taken in turn (`turns`). What the server says of the length of a history decides nothing: where workflow tasks
followed each other while a local activity was at work, a replay is told what was true of the last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    TemporalError,
    is_cancelled_exception,
)

from interlock.core.admission import admit
from interlock.core.answers import must_wait
from interlock.core.effects import Decision, EvaluateGate, Operation, PrepareInput, StartAttempt, key
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
from interlock.core.facts import claim, decided, failed, on_worker, passed_on, refused, tries_before
from interlock.core.fold import apply
from interlock.core.judging import in_repository
from interlock.core.limits import tried_again_at
from interlock.core.plan import plan
from interlock.core.state import RunState
from interlock.core.wire import decode_event, encode_effect, encode_record
from interlock.engines.reconcile import reconcile
from interlock.engines.temporal.exclusive import alone, names_of
from interlock.engines.temporal.fleet import activity_id, of_repository, was_taken_by_nobody
from interlock.engines.temporal.messages import (
    ANSWER,
    HISTORY,
    KEEP,
    PERFORM,
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
from interlock.engines.temporal.places import Places
from interlock.engines.temporal.turns import Turns
from interlock.pipelinefile import decode_pipeline
from interlock.ports import InfrastructureError

_PAGE = 500  # records that one query returns at most
_LONG = 4_000  # events of the server's history: then the run begins anew once nothing is in flight
_TOO_LONG = 12_000  # then nothing more is put in flight: the server would end the run at 50,000, or at 50 MB
_OF_TASK, _OF_NAME, _OF_ANSWER, _OF_ALARM = 12, 20, 8, 5  # events at most: a task with its place, an exclusive name
_ATTEMPT_MAX = timedelta(days=2)
_SMALL_MAX = timedelta(minutes=30)
_REPOSITORY_MAX = timedelta(days=365)  # somebody has to come to the repository
_STOPPED = "WorkerShutdown"  # the type of what the SDK reports of an effect that a worker gives up as it stops
_ONCE = RetryPolicy(maximum_attempts=1)
_WAITED_MIN_S = 5.0
_SEEKING_MAX = 64
_PATIENCE = timedelta(seconds=30)  # until it is asked whether anybody serves the place still; twice as long then
_PATIENCE_MAX = timedelta(minutes=10)
_NEAR_S, _FAR_S = 0.001, 1e8  # the shortest timer, since none at all would be another history, and the longest
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
        self._begun_at = self._state.seq
        self._answered = {answer for record in self._records if (answer := answer_of(record.event))}
        self._makers = dict(maker for record in self._records if (maker := made_by(record.event)))
        self._packs = {made[0]: made[1] for record in self._records if (made := made_commit(record.event))}
        self._in_flight: dict[str, tuple[Operation, asyncio.Task[None]]] = {}
        self._waiting: list[AnswerTaken] = []
        self._moved, self._seen = 0, 0  # how often something moved, and how much of it was planned with
        self._long = 0  # events of the server's history since the run began, at most, as we count them
        self._seeking: set[str] = set()  # keys of effects for which a place is looked for: they take none
        self._turns = Turns(self._is_settled)
        self._places = Places(self._turns)

    @workflow.run
    async def run(self, given: RunInput) -> str:
        """Returns the digest of the history, which lies among the blobs."""
        if not self._records:
            self._append(self._started, given.documents.started_at)
            self._append(OwnerChanged(1, "temporal"))
        while self._state.finished is None:
            seen = self._seen = self._moved
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
        return await self._kept_whole()

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
        self._places.forget()

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

    def _is_settled(self) -> bool:
        """Whether it was planned with all that has moved."""
        return self._seen == self._moved or self._state.finished is not None

    def _effects(self) -> tuple[Operation, ...]:
        return tuple(effect for effect, _ in self._in_flight.values())

    def _may_begin_anew(self) -> bool:
        """Only after something was recorded: a beginning has to look for places, and no run does only that."""
        at_rest = not self._in_flight and not self._waiting and workflow.all_handlers_finished()
        return self._long >= _LONG and self._state.seq > self._begun_at and at_rest

    async def _keep(self) -> str:
        """The history goes among the blobs, where it stays when the server forgets it. Returns its digest."""
        given = HistoryInput(self._started.run, packed(self._records))
        digest: str = await workflow.execute_local_activity(
            KEEP, given, result_type=str, start_to_close_timeout=_SMALL_MAX, retry_policy=_AGAIN
        )
        return digest

    async def _kept_whole(self) -> str:
        """All of a finished run is kept: answers that came too late are told so. Returns the digest."""
        kept, digest = -1, ""
        while kept != self._moved:
            await workflow.wait_condition(lambda: not self._in_flight and workflow.all_handlers_finished())
            self._take_answers()
            kept = self._moved
            digest = await self._keep()
        return digest

    async def _wait(self, seen: int, alarm: float | None) -> None:
        """Until something moved, or until the time of the alarm."""
        self._long += _OF_ALARM if alarm is not None else 0
        left = (
            None if alarm is None else timedelta(seconds=max(_NEAR_S, min(_FAR_S, alarm - workflow.now().timestamp())))
        )
        try:
            await workflow.wait_condition(lambda: self._moved != seen, timeout=left)
        except TimeoutError:
            assert alarm is not None
            self._places.forget()
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
        if isinstance(effect, PrepareInput) and (prepared := passed_on(effect)):
            self._record(prepared)
            return
        need = need_of(self._pipeline, effect, self._maker(effect))
        place = self._places.take(need) if need else ""
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
        self._record(reported(effect, await alone(self._pipeline, effect, work, self._turns)))

    def _failed(self, effect: Operation, error: BaseException) -> None:
        """Its worker is gone, or could not begin, or has no words for what happened: a fact, which is counted."""
        cause = error.cause if isinstance(error, ActivityError) and error.cause else error
        if isinstance(effect, StartAttempt) and (lost := _lost(cause)):
            self._places.forget()
            self._record(AttemptLost(effect.attempt, lost))
            return
        why, permanent = told_by_worker(cause)
        worker = error.identity.partition(" ")[0] if isinstance(error, ActivityError) else ""
        now, backoff_s = workflow.now().timestamp(), self._given.documents.backoff_s
        retry_at = tried_again_at(now, backoff_s, tries_before(effect))
        self._record(on_worker(failed(self._pipeline, effect, why, retry_at, permanent=permanent), worker))

    # --- places

    async def _seek(self, effect: Operation, need: Need) -> None:
        self._seeking.add(key(effect))
        self._moved += 1
        began = workflow.now().timestamp()
        try:
            await self._places.find(effect, need)
            self._leave_out(began)
        finally:
            self._seeking.discard(key(effect))

    def _leave_out(self, began: float) -> None:
        """The time in which nothing of the run was at work, since no worker fits, is none of the run's own."""
        now = workflow.now().timestamp()
        waited_s = now - max(began, self._state.at)
        if waited_s > _WAITED_MIN_S and self._state.stages.busy and self._seeking.issuperset(self._in_flight):
            self._record(TimeReached(now, waited_s))

    async def _remote(self, effect: Operation, given: EffectInput, need: Need, place: str) -> RawValue:
        """By a worker of this place. If none takes it for a while, another place may do."""
        patience = _PATIENCE
        while True:
            try:
                work = workflow.execute_activity(
                    PERFORM, given, result_type=RawValue, task_queue=place,
                    activity_id=activity_id(effect, again=patience > _PATIENCE),
                    start_to_close_timeout=_ATTEMPT_MAX,
                    schedule_to_start_timeout=patience, heartbeat_timeout=timedelta(seconds=self._given.heartbeat_s),
                    retry_policy=_ONCE if isinstance(effect, StartAttempt) else _AGAIN,
                    cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                )  # fmt: skip
                return await self._turns.after(work)
            except ActivityError as error:
                if not was_taken_by_nobody(error):
                    raise
            self._places.forget()
            self._long += _OF_TASK
            place = await self._places.find(effect, need)
            patience = min(patience * 2, _PATIENCE_MAX)

    async def _small(self, effect: Operation, given: EffectInput) -> RawValue:
        """Here, or in the repository of the run."""
        if in_repository(self._pipeline, effect):
            work = workflow.execute_activity(
                PERFORM, given, result_type=RawValue, task_queue=self._given.delivery, retry_policy=_AGAIN,
                activity_id=of_repository(effect),
                schedule_to_close_timeout=_REPOSITORY_MAX, heartbeat_timeout=timedelta(seconds=self._given.heartbeat_s),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )  # fmt: skip
        else:
            work = workflow.execute_local_activity(
                PERFORM, given, result_type=RawValue, start_to_close_timeout=_SMALL_MAX, retry_policy=_AGAIN
            )
        return await self._turns.after(work)

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


def _lost(cause: BaseException) -> str:
    """Why nobody reports of an attempt any more; empty if its worker did."""
    if not isinstance(cause, ApplicationError):
        return f"its worker reports no more: {cause}"
    return "its worker was stopped" if cause.type == _STOPPED else ""
