"""What the oracle knows of a run, and the checks on it: who is alive, what is accepted, decided and allowed.

Rule: these books are kept from events and calls of the ports alone, never from the core's state.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.fate import Violation, require
from tests.simulation.store import Store

from interlock.core.events import (
    Action,
    AnswerTaken,
    AttemptStarted,
    CandidateProduced,
    DeliveryBegun,
    Event,
    HandoffAccepted,
    InputPrepared,
    PauseReason,
    RunFinished,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Expect, Gate, GateClass, GateKind, Pipeline, Stage, WorkspaceMode
from interlock.core.pipeline import Tests as Whose
from interlock.ports import GateRequest

TRIES_MAX = 3  # as the protocol's bound on one effect; written again here on purpose
QUOTA_WAITS_MAX = 98  # 50, and a day of half hours


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


class Known:
    """The books of one run. Each check raises Violation with the promise that does not hold."""

    def __init__(self, pipeline: Pipeline, store: Store) -> None:
        self.pipeline, self.store = pipeline, store
        self.books: dict[str, Book] = {}
        self.tried: dict[AttemptId, Tried] = {}
        self.blessed: set[str] = {"person"}  # attempts whose content was accepted
        self.base = ""
        self.base_verdicts: dict[str, VerdictGiven] = {}
        self.accepts: dict[AttemptId, AnswerTaken] = {}
        self.truth: set[tuple[str, str, VerdictStatus]] = set()  # gate definition, tree, what the world said
        self.calls: Counter[tuple[str, AttemptId]] = Counter()
        self.loops: Counter[tuple[str, int]] = Counter()
        self.failures: Counter[str] = Counter()
        self.paid = 0
        self.raised: Counter[str] = Counter()
        self.run_paused = False
        self.delivering: DeliveryBegun | None = None
        self.delivered = ""
        self.branch = ""  # as a person said
        self.finished: RunFinished | None = None
        self.cancelled = False
        self._upstream = {stage.id: pipeline.upstream(stage.id) for stage in pipeline.stages}

    def claimed(self, what: str, attempt: AttemptId) -> Tried:
        tried = self.tried.get(attempt)
        if tried is None:
            raise Violation("S6", f"{what} of {attempt} before its claim")
        self.calls[what, attempt] += 1
        require(self.calls[what, attempt] == 1, "S6", lambda: f"{what} of {attempt} is done again")
        return tried

    def current(self, subject: AttemptId, event: Event) -> Book:
        book = self.books.get(subject.stage)
        if book is None or book.epoch != subject.epoch:
            raise Violation("S4", f"{event} is of another epoch")
        return book

    def alive(self, attempt: AttemptId, event: Event, *, judged: bool | None) -> tuple[Tried, Book]:
        book = self.current(attempt, event)
        tried = self.tried.get(attempt)
        if tried is None or tried.ended or book.newest is not tried or book.output:
            raise Violation("S4", f"{event} is of an attempt that is over")
        fits = judged is None or (tried.candidate is not None) is judged
        require(fits, "S4", lambda: f"{event} comes in the wrong order")
        orphaned = tried.orphaned and judged is False
        require(not orphaned, "S4", lambda: f"{event} is a report of a former owner")
        return tried, book

    def verdicts_of(self, subject: AttemptId) -> dict[str, VerdictGiven]:
        if subject.is_base:
            return self.base_verdicts
        book = self.books[subject.stage]
        if subject.is_input:
            return book.input_verdicts if book.epoch == subject.epoch else {}
        tried = self.tried.get(subject)
        return tried.verdicts if tried is not None else {}

    def check_continued(self, attempt: AttemptId, overlay: str) -> None:
        book, over = self.books[attempt.stage], self.store.commits[overlay]
        declared = self.pipeline.stage(attempt.stage).workspace is WorkspaceMode.CONTINUE
        require(declared, "S7", lambda: f"{attempt} goes on from {overlay} without leave")
        require(over.restored_from, "S7", lambda: f"{attempt} goes on from {overlay} as it was")
        if book.epoch == attempt.epoch:
            last = self.tried[book.rejected[-1]].candidate if book.rejected else None
            fits = last is not None and over.restored_from == last.commit
            require(fits, "S7", lambda: f"{attempt} goes on from {overlay}, not the last rejected")

    def check_baseline(self, request: GateRequest, book: Book) -> None:
        if book.input is None or book.input.conflicts:
            return
        tree = self.store.commits[self.base].tree if request.gate.tests is Whose.BASE else book.input.tree
        expected = f"{request.gate.digest} on {tree}".encode()
        require(request.baseline == expected, "S2", lambda: f"{request.subject} is compared with {request.baseline!r}")

    def check_clean(self, commit: str, what: str) -> None:
        work = self.store.commits[commit].work
        require(work <= self.blessed, "S7", lambda: f"{what} holds work of {sorted(work - self.blessed)}")

    def check_merge(self, stage_id: str, book: Book, *, passed: bool) -> None:
        for name, gate in self.merge_gates(stage_id):
            if book.input is not None and self.judged(gate, book.input.tree, passed=passed):
                continue
            raise Violation("S1", f"{stage_id} takes a merge that {name} has not {'passed' if passed else 'judged'}")

    def judged(self, gate: Gate, tree: str, *, passed: bool) -> bool:
        if (gate.digest, tree, VerdictStatus.PASSED) in self.truth:
            return True
        return not passed and (gate.digest, tree, VerdictStatus.FAILED) in self.truth

    def merge_gates(self, stage_id: str) -> list[tuple[str, Gate]]:
        found = []
        for name in self._upstream[stage_id]:
            book, stage = self.books.get(name), self.pipeline.stage(name)
            if book is not None and not book.skipped:
                found.extend((name, gate) for gate in stage.gates if _hard_on_merges(gate))
        return found

    def check_passed(self, event: HandoffAccepted, tried: Tried, book: Book, *, by_person: bool) -> None:
        stage = self.pipeline.stage(event.attempt.stage)
        for gate in stage.gates:
            verdict = tried.verdicts.get(f"{stage.id}/{gate.id}")
            hard = gate.gate_class is GateClass.HARD
            passed = verdict is not None and verdict.status is VerdictStatus.PASSED
            true = not hard or (gate.digest, event.tree, VerdictStatus.PASSED) in self.truth
            overruled = gate.gate_class is GateClass.HUMAN or event.override_by  # a soft one never without a mark
            needed = hard or not (by_person and overruled)
            fits = (passed and true) or not needed
            require(fits, "S2", lambda g=gate: f"{event.attempt} was accepted without {g.id}")
        if book.merged and book.input is not None:
            unproven = bool(book.input.conflicts) or not stage.has_worker or not self.input_sound(book, stage)
            for _name, gate in self.merge_gates(stage.id) if unproven else ():
                judged = self.judged(gate, event.tree, passed=True)
                require(judged, "S2", lambda g=gate: f"{event.attempt}: the merge was accepted without {g.id}")

    def input_sound(self, book: Book, stage: Stage) -> bool:
        tree = book.input.tree if book.input else ""
        return all(self.judged(gate, tree, passed=True) for _, gate in self.merge_gates(stage.id))

    def check_truth(self, event: VerdictGiven) -> None:
        if event.status is VerdictStatus.ERRORED:
            return
        stage_id, gate_id = event.gate.split("/", 1)
        gate = self.pipeline.stage(stage_id).gate(gate_id)
        said = (gate.digest, event.tree, event.status) in self.truth
        require(said, "S2", lambda: f"{event.gate} never said {event.status} of {event.tree}")

    def check_bounds(self, event: AttemptStarted, book: Book, stage: Stage) -> None:
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

    def count(self, what: str) -> None:
        self.failures[what] += 1
        require(self.failures[what] <= TRIES_MAX, "L1", lambda: f"{what} failed {self.failures[what]} times")

    def forget(self, stage_id: str) -> None:
        for what in [what for what in self.failures if f"{stage_id}/" in what]:
            del self.failures[what]

    def forget_failures(self, action: Action, stage_id: str = "") -> None:
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
                self.forget(name)


_LIFTED = {Action.CONTINUE: PauseReason.INFRASTRUCTURE, Action.RAISE: PauseReason.LIMIT}


def _hard_on_merges(gate: Gate) -> bool:
    return gate.kind == GateKind.RUN and gate.expect in (Expect.PASS, Expect.TESTS_PROVE_CHANGE)
