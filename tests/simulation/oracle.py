"""The independent judge of the promises. It sees the appended events and the calls of the ports, never the
core's state, and keeps its own books of what is accepted, alive, decided and allowed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.fate import Violation, require
from tests.simulation.store import Store

from interlock.core.events import (
    Action,
    AnswerTaken,
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Delivered,
    EffectErrored,
    Event,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    PauseReason,
    Recorded,
    Refused,
    RunFinished,
    RunStarted,
    RunStatus,
    SentBack,
    StageSkipped,
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Expect, Gate, GateClass, GateKind, Pipeline, Stage, WorkspaceMode
from interlock.ports import Case

TRIES_MAX = 3  # as the protocol's bound on one effect; written again here on purpose
QUOTA_WAITS_MAX = 60


@dataclass(slots=True)
class Tried:
    """One attempt, as the journal tells it."""

    started: AttemptStarted
    candidate: CandidateProduced | None = None
    ended: bool = False  # errored, lost, rejected, reset: nothing of it may change anything any more
    orphaned: bool = False
    verdicts: dict[str, VerdictGiven] = field(default_factory=dict)


@dataclass(slots=True)
class Book:
    """A stage in its epoch."""

    epoch: int = 1
    input: InputPrepared | None = None
    merged: bool = False
    input_verdicts: dict[str, VerdictGiven] = field(default_factory=dict)
    newest: Tried | None = None
    number: int = 0
    output: str = ""
    skipped: bool = False
    rejected: list[AttemptId] = field(default_factory=list)
    charged: int = 0
    errors: Counter[str] = field(default_factory=Counter)  # by agent, since the last candidate
    quotas: int = 0
    paused: str = ""  # why
    asked: set[str] = field(default_factory=set)


class Oracle:
    def __init__(self, pipeline: Pipeline, store: Store) -> None:
        self.pipeline, self.store = pipeline, store
        self.books: dict[str, Book] = {}
        self.tried: dict[AttemptId, Tried] = {}
        self.blessed: set[str] = {"person"}  # attempts whose content was accepted
        self.base = ""
        self.base_verdicts: dict[str, VerdictGiven] = {}
        self.accepts: dict[AttemptId, AnswerTaken] = {}
        self.approvals: set[tuple[AttemptId, str]] = set()
        self.truth: set[tuple[str, str, VerdictStatus]] = set()  # gate definition, tree, what the world said
        self.calls: Counter[tuple[str, AttemptId]] = Counter()
        self.loops: Counter[tuple[str, int]] = Counter()
        self.failures: Counter[str] = Counter()
        self.paid = 0
        self.raised: Counter[str] = Counter()
        self.run_paused = False
        self.delivered = ""
        self.finished: RunFinished | None = None
        self.cancelled = False
        self._upstream = {stage.id: pipeline.upstream(stage.id) for stage in pipeline.stages}

    # --- what the world does ---------------------------------------------------------------------

    def merging(self, ref: str) -> None:
        stage, number = ref.split("/")[-2:]
        epoch = int(number.split(".")[0])
        book = self.books[stage]
        done = epoch < book.epoch or (epoch == book.epoch and book.input is not None)
        require(not done, "S6", lambda: f"input of {stage} in epoch {epoch} is prepared again")

    def opening(self, attempt: AttemptId, commit: str, overlay: str) -> None:
        tried = self._claimed("open", attempt)
        work = self.store.commits[commit].work
        require(self.store.commits[commit].tree == tried.started.input_tree, "S1", f"{attempt} opens {commit}")
        require(work <= self.blessed, "S7", lambda: f"{attempt} starts from {sorted(work - self.blessed)}")
        if overlay and not tried.started.by:
            self._check_continued(attempt, overlay)

    def working(self, attempt: AttemptId, brief: str, secret: str) -> None:
        self._claimed("work", attempt)
        require(secret not in brief, "S7", lambda: f"{attempt} is told of a held-out check")

    def evaluating(self, case: Case) -> None:
        name = f"{case.stage.id}/{case.gate.id}"
        require(self.store.commits[case.commit].tree == case.tree, "S2", lambda: f"{name} judges another tree")
        known = self._verdicts_of(case.subject).get(name)
        decided = known is not None and known.status is not VerdictStatus.ERRORED
        require(not decided, "S6", lambda: f"{name} judges {case.subject} again")
        book = self.books.get(case.subject.stage)
        own = case.stage.id == case.subject.stage and case.gate.needs_baseline and case.stage.has_worker
        if own and not case.subject.is_base and not case.subject.is_input and book and book.epoch == case.subject.epoch:
            self._check_baseline(case, book)

    def evaluated(self, case: Case, status: VerdictStatus) -> None:
        self.truth.add((case.gate.digest, case.tree, status))

    def delivering(self, commit: str) -> None:
        require(not self.delivered, "S6", "the branch is delivered again")
        outputs = {book.output for book in self.books.values()}
        require(commit in outputs, "S1", lambda: f"{commit} is delivered and is no accepted output")
        require(all(outputs), "S1", "delivered before every stage was accepted")

    # --- what the journal says -------------------------------------------------------------------

    def appended(self, record: Recorded) -> None:
        event = record.event
        if isinstance(event, Refused):
            return
        late = self.finished is not None and not isinstance(event, OwnerChanged)
        require(not late, "S4", lambda: f"{event} after the run was finished")
        seen = _SEEN.get(type(event))
        if seen is not None:
            seen(self, event)

    def check_rest(self) -> None:
        """Nothing moves: then it is finished, or it waits for a human and says so."""
        waits = self.run_paused or any(book.paused or book.asked for book in self.books.values())
        require(self.finished or waits, "L1", lambda: f"stuck: {self.describe()}")

    def describe(self) -> str:
        return "; ".join(f"{name} epoch {book.epoch}, output {book.output or '-'}" for name, book in self.books.items())

    # --- events ----------------------------------------------------------------------------------

    def _started(self, event: RunStarted) -> None:
        self.books = {stage: Book() for stage in event.stages}
        self.base = event.base_commit

    def _owner_changed(self, event: OwnerChanged) -> None:
        for tried in self.tried.values():
            tried.orphaned = tried.orphaned or (tried.candidate is None and not tried.ended)

    def _input_prepared(self, event: InputPrepared) -> None:
        book = self._current(event.subject, event)
        stage = self.pipeline.stage(event.subject.stage)
        outputs = [self.books[need].output for need in stage.needs]
        require(all(outputs), "S1", lambda: f"{event.subject} is prepared before its needs are accepted")
        expected = tuple(dict.fromkeys(outputs)) or (self.base,)
        require(event.sources == expected, "S1", lambda: f"{event.subject} is made of {event.sources}, not {expected}")
        require(book.input is None, "S6", lambda: f"{event.subject} is prepared twice")
        book.input = event
        book.merged = event.commit not in event.sources
        self._check_clean(event.commit, str(event.subject))

    def _when_held(self, event: WhenHeld) -> None:
        require(self._current(event.subject, event).input, "S1", "when is looked at without an input")

    def _skipped(self, event: StageSkipped) -> None:
        book = self._current(event.subject, event)
        if book.input is None:
            raise Violation("S1", f"{event.subject} is skipped without an input")
        if book.merged:
            require(not book.input.conflicts, "S1", lambda: f"{event.subject} passes a conflict on")
            self._check_merge(event.subject.stage, book, passed=True)
        book.output, book.skipped = book.input.commit, True

    def _attempt_started(self, event: AttemptStarted) -> None:
        book = self._current(event.attempt, event)
        stage = self.pipeline.stage(event.attempt.stage)
        if book.input is None:
            raise Violation("S1", f"{event.attempt} starts without an input")
        require(event.input_tree == book.input.tree, "S1", lambda: f"{event.attempt} starts from another tree")
        require(not book.output, "S4", lambda: f"{event.attempt} starts after the stage was accepted")
        current = tuple(dict.fromkeys(self.books[need].output for need in stage.needs)) or (self.base,)
        require(book.input.sources == current, "S1", lambda: f"{event.attempt} starts from a stale input")
        if book.merged and stage.has_worker and not book.input.conflicts:
            self._check_merge(event.attempt.stage, book, passed=False)
        require(event.attempt.number > book.number, "S6", lambda: f"{event.attempt} is claimed again")
        alive = book.newest is not None and book.newest.candidate is None and not book.newest.ended
        require(not alive, "S4", lambda: f"{event.attempt} starts beside another")
        self._check_bounds(event, book, stage)
        if book.newest is not None:
            book.newest.ended = True
        book.newest = self.tried[event.attempt] = Tried(event)
        book.number, book.asked, book.paused = event.attempt.number, set(), ""

    def _produced(self, event: CandidateProduced) -> None:
        tried, book = self._alive(event.attempt, event, judged=False)
        stage = self.pipeline.stage(event.attempt.stage)
        tried.candidate = event
        book.quotas = 0
        book.errors.clear()
        self.paid += bool(tried.started.agent)
        carried = self.store.commits[event.commit].work - self.blessed - {str(event.attempt)}
        allowed = stage.workspace is WorkspaceMode.CONTINUE or bool(tried.started.by)
        require(allowed or not carried, "S7", lambda: f"{event.attempt} carries work of {sorted(carried)}")

    def _errored(self, event: AttemptErrored) -> None:
        tried, book = self._alive(event.attempt, event, judged=False)
        tried.ended = True
        book.errors[tried.started.agent] += not event.quota
        book.quotas += event.quota
        most = max(book.errors.values())  # one that stands in has tries of its own
        require(most <= TRIES_MAX, "L1", lambda: f"{event.attempt} is tried {most} times")
        require(book.quotas <= QUOTA_WAITS_MAX, "L1", lambda: f"{event.attempt} waits for quota {book.quotas} times")

    def _lost(self, event: AttemptLost) -> None:
        tried, book = self._alive(event.attempt, event, judged=None)
        tried.ended = True
        book.asked = set()

    def _verdict(self, event: VerdictGiven) -> None:
        verdicts = self._verdicts_of(event.subject)
        former = verdicts.get(event.gate)
        decided = former is not None and former.status is not VerdictStatus.ERRORED
        require(not decided, "S6", lambda: f"{event.gate} has decided on {event.subject} before")
        if not event.subject.is_base:
            book = self._current(event.subject, event)
            if not event.subject.is_input:
                self._alive(event.subject, event, judged=True)
            require(book.input is not None, "S4", lambda: f"{event.gate} judges {event.subject} without input")
        self._check_truth(event)
        verdicts[event.gate] = event
        if event.status is VerdictStatus.ERRORED:
            self._count(f"{event.subject} {event.gate}")

    def _asked(self, event: ApprovalAsked) -> None:
        tried, book = self._alive(event.subject, event, judged=True)
        require(event.gate not in tried.verdicts, "S6", lambda: f"{event.gate} is asked again")
        book.asked.add(event.gate)

    def _answered(self, event: AnswerTaken) -> None:
        book = self.books.get(event.stage)
        match event.action:
            case Action.CANCEL:
                self.cancelled = True
            case Action.RAISE:
                self.raised.update(dict(event.limits))
                self._forget_failures(event.action)
            case Action.CONTINUE:
                self._forget_failures(event.action)
            case Action.APPROVE | Action.REJECT if book is not None and event.subject is not None:
                tried, _ = self._alive(event.subject, event, judged=True)
                require(event.gate in book.asked, "S4", lambda: f"{event.action} of {event.gate}, which does not wait")
                book.asked.discard(event.gate)
                status = VerdictStatus.PASSED if event.action is Action.APPROVE else VerdictStatus.FAILED
                tried.verdicts[event.gate] = VerdictGiven(event.subject, event.gate, 1, status, by=event.by)
            case Action.ACCEPT if event.subject is not None:
                self._current(event.subject, event)
                self.accepts[event.subject] = event
                self._forget(event.stage)
            case Action.RETRY if book is not None:
                book.paused = ""
                book.charged = book.quotas = 0
                book.errors.clear()
                self._forget_failures(event.action, event.stage)
            case _:
                raise Violation("S4", f"{event} names nothing")

    def _accepted(self, event: HandoffAccepted) -> None:
        book = self._current(event.attempt, event)
        tried = self.tried.get(event.attempt)
        if tried is None or tried.candidate is None or book.input is None:
            raise Violation("S2", f"{event.attempt} is accepted without a candidate")
        require(not book.output, "S4", lambda: f"{event.attempt} is accepted after another was")
        same = (event.commit, event.tree) == (tried.candidate.commit, tried.candidate.tree)
        require(same, "S2", lambda: f"{event.attempt}: accepted is not what was judged")
        answer = self.accepts.get(event.attempt)
        if answer is None:
            self._alive(event.attempt, event, judged=True)
        told = answer is not None and answer.override and event.override_by == answer.by
        require(not event.override_by or told, "S2", lambda: f"nobody overrode {event.attempt}")
        if not event.override_by:
            self._check_passed(event, tried, book, by_person=answer is not None)
        book.output, book.paused, book.asked = event.commit, "", set()
        self.blessed |= self.store.commits[event.commit].work

    def _rejected(self, event: CandidateRejected) -> None:
        tried, book = self._alive(event.attempt, event, judged=True)
        no = any(verdict.status is VerdictStatus.FAILED for verdict in tried.verdicts.values())
        require(no, "S2", lambda: f"{event.attempt} is rejected and no gate said no")
        tried.ended = True
        book.asked = set()
        book.rejected.append(event.attempt)
        book.charged += 1

    def _sent_back(self, event: SentBack) -> None:
        book = self._current(event.attempt, event)
        if event.rule >= 0:
            rule = self.pipeline.stage(event.attempt.stage).on_reject[event.rule]
            self.loops[event.attempt.stage, event.rule] += 1
            count = self.loops[event.attempt.stage, event.rule]
            require(count <= rule.max, "L1", lambda: f"{event.attempt.stage} is sent back {count} times")
            fits = rule.goto == event.target and book.rejected and book.rejected[-1] == event.attempt
            require(fits, "S4", lambda: f"{event} fits no rejection")
        expected = {name for name in self.pipeline.downstream(event.target) if name in self.books}
        require(set(event.resets) == expected, "S1", lambda: f"{event.target} resets {event.resets}")
        for name in event.resets:
            former = self.books[name]
            if former.newest is not None:
                former.newest.ended = True
            self.books[name] = Book(epoch=former.epoch + 1)
        self.failures.pop("DeliverBranch", None)
        self.delivered, self.run_paused = "", False

    def _paused(self, event: Paused) -> None:
        if event.stage:
            self.books[event.stage].paused = event.reason
        else:
            self.run_paused = True

    def _effect_errored(self, event: EffectErrored) -> None:
        self._count(event.effect)

    def _delivered(self, event: Delivered) -> None:
        require(not self.delivered, "S6", "delivered twice")
        self.delivered = event.commit

    def _finished(self, event: RunFinished) -> None:
        self.finished = event
        if event.status is RunStatus.ACCEPTED:
            require(all(book.output for book in self.books.values()), "S2", "accepted with stages that are not")
        if event.status is RunStatus.CANCELLED:
            require(self.cancelled, "S4", "cancelled by nobody")

    # --- checks ----------------------------------------------------------------------------------

    def _claimed(self, what: str, attempt: AttemptId) -> Tried:
        tried = self.tried.get(attempt)
        if tried is None:
            raise Violation("S6", f"{what} of {attempt} before its claim")
        self.calls[what, attempt] += 1
        require(self.calls[what, attempt] == 1, "S6", lambda: f"{what} of {attempt} is done again")
        return tried

    def _current(self, subject: AttemptId, event: Event) -> Book:
        book = self.books.get(subject.stage)
        if book is None or book.epoch != subject.epoch:
            raise Violation("S4", f"{event} is of another epoch")
        return book

    def _alive(self, attempt: AttemptId, event: Event, *, judged: bool | None) -> tuple[Tried, Book]:
        book = self._current(attempt, event)
        tried = self.tried.get(attempt)
        if tried is None or tried.ended or book.newest is not tried or book.output:
            raise Violation("S4", f"{event} is of an attempt that is over")
        fits = judged is None or (tried.candidate is not None) is judged
        require(fits, "S4", lambda: f"{event} comes in the wrong order")
        orphaned = tried.orphaned and judged is False
        require(not orphaned, "S4", lambda: f"{event} is a report of a former owner")
        return tried, book

    def _verdicts_of(self, subject: AttemptId) -> dict[str, VerdictGiven]:
        if subject.is_base:
            return self.base_verdicts
        book = self.books[subject.stage]
        if subject.is_input:
            return book.input_verdicts if book.epoch == subject.epoch else {}
        tried = self.tried.get(subject)
        return tried.verdicts if tried is not None else {}

    def _check_continued(self, attempt: AttemptId, overlay: str) -> None:
        book, over = self.books[attempt.stage], self.store.commits[overlay]
        declared = self.pipeline.stage(attempt.stage).workspace is WorkspaceMode.CONTINUE
        require(declared, "S7", lambda: f"{attempt} goes on from {overlay} without leave")
        require(over.restored_from, "S7", lambda: f"{attempt} goes on from {overlay} as it was")
        if book.epoch == attempt.epoch:
            last = self.tried[book.rejected[-1]].candidate if book.rejected else None
            fits = last is not None and over.restored_from == last.commit
            require(fits, "S7", lambda: f"{attempt} goes on from {overlay}, not the last rejected")

    def _check_baseline(self, case: Case, book: Book) -> None:
        if book.input is None or book.input.conflicts:
            return
        expected = f"{case.gate.digest} on {book.input.tree}".encode()
        require(case.baseline == expected, "S2", lambda: f"{case.subject} is compared with {case.baseline!r}")

    def _check_clean(self, commit: str, what: str) -> None:
        work = self.store.commits[commit].work
        require(work <= self.blessed, "S7", lambda: f"{what} holds work of {sorted(work - self.blessed)}")

    def _check_merge(self, stage_id: str, book: Book, *, passed: bool) -> None:
        for name, gate in self._merge_gates(stage_id):
            if book.input is not None and self._judged(gate, book.input.tree, passed=passed):
                continue
            raise Violation("S1", f"{stage_id} takes a merge that {name} has not {'passed' if passed else 'judged'}")

    def _judged(self, gate: Gate, tree: str, *, passed: bool) -> bool:
        if (gate.digest, tree, VerdictStatus.PASSED) in self.truth:
            return True
        return not passed and (gate.digest, tree, VerdictStatus.FAILED) in self.truth

    def _merge_gates(self, stage_id: str) -> list[tuple[str, Gate]]:
        found = []
        for name in self._upstream[stage_id]:
            book, stage = self.books.get(name), self.pipeline.stage(name)
            if book is not None and not book.skipped:
                found.extend((name, gate) for gate in stage.gates if _hard_on_merges(gate))
        return found

    def _check_passed(self, event: HandoffAccepted, tried: Tried, book: Book, *, by_person: bool) -> None:
        stage = self.pipeline.stage(event.attempt.stage)
        for gate in stage.gates:
            verdict = tried.verdicts.get(f"{stage.id}/{gate.id}")
            hard = gate.gate_class is GateClass.HARD
            passed = verdict is not None and verdict.status is VerdictStatus.PASSED
            true = not hard or (gate.digest, event.tree, VerdictStatus.PASSED) in self.truth
            needed = hard or not by_person
            fits = (passed and true) or not needed
            require(fits, "S2", lambda g=gate: f"{event.attempt} was accepted without {g.id}")
        if book.merged and book.input is not None:
            unproven = bool(book.input.conflicts) or not stage.has_worker or not self._input_sound(book, stage)
            for _name, gate in self._merge_gates(stage.id) if unproven else ():
                judged = self._judged(gate, event.tree, passed=True)
                require(judged, "S2", lambda g=gate: f"{event.attempt}: the merge was accepted without {g.id}")

    def _input_sound(self, book: Book, stage: Stage) -> bool:
        tree = book.input.tree if book.input else ""
        return all(self._judged(gate, tree, passed=True) for _, gate in self._merge_gates(stage.id))

    def _check_truth(self, event: VerdictGiven) -> None:
        if event.status is VerdictStatus.ERRORED:
            return
        stage_id, gate_id = event.gate.split("/", 1)
        gate = self.pipeline.stage(stage_id).gate(gate_id)
        said = (gate.digest, event.tree, event.status) in self.truth
        require(said, "S2", lambda: f"{event.gate} never said {event.status} of {event.tree}")

    def _check_bounds(self, event: AttemptStarted, book: Book, stage: Stage) -> None:
        if event.by:
            return
        require(
            book.charged < stage.attempts_max or not stage.has_worker, "L1",
            lambda: f"{event.attempt} is one too many: {book.charged} were rejected",
        )  # fmt: skip
        at_work = sum(
            1
            for other in self.books.values()
            if (tried := other.newest) and tried.started.agent and not tried.ended and not tried.candidate
        )
        bound = self.pipeline.limits.attempts + self.raised["attempts"]
        over = bool(event.agent) and self.paid + at_work >= bound
        require(not over, "L1", lambda: f"{event.attempt} is beyond the limit of {bound}")

    def _count(self, what: str) -> None:
        self.failures[what] += 1
        require(self.failures[what] <= TRIES_MAX, "L1", lambda: f"{what} failed {self.failures[what]} times")

    def _forget(self, stage_id: str) -> None:
        for what in [what for what in self.failures if f"{stage_id}/" in what]:
            del self.failures[what]

    def _forget_failures(self, action: Action, stage_id: str = "") -> None:
        """A person gave leave to try again."""
        if action is Action.CONTINUE:
            self.run_paused = False
            self.failures.clear()
        for name, book in self.books.items():
            if action is not Action.RETRY or name == stage_id:
                if book.paused == _LIFTED.get(action):
                    book.paused = ""
                book.quotas = 0
                book.errors.clear()
                self._forget(name)


_LIFTED = {Action.CONTINUE: PauseReason.INFRASTRUCTURE, Action.RAISE: PauseReason.LIMIT}


def _hard_on_merges(gate: Gate) -> bool:
    return gate.kind is GateKind.RUN and gate.expect is Expect.PASS


_SEEN = {
    RunStarted: Oracle._started,
    OwnerChanged: Oracle._owner_changed,
    InputPrepared: Oracle._input_prepared,
    WhenHeld: Oracle._when_held,
    StageSkipped: Oracle._skipped,
    AttemptStarted: Oracle._attempt_started,
    CandidateProduced: Oracle._produced,
    AttemptErrored: Oracle._errored,
    AttemptLost: Oracle._lost,
    VerdictGiven: Oracle._verdict,
    ApprovalAsked: Oracle._asked,
    AnswerTaken: Oracle._answered,
    HandoffAccepted: Oracle._accepted,
    CandidateRejected: Oracle._rejected,
    SentBack: Oracle._sent_back,
    Paused: Oracle._paused,
    EffectErrored: Oracle._effect_errored,
    Delivered: Oracle._delivered,
    RunFinished: Oracle._finished,
}
