"""The independent judge of the promises. It sees the appended events and the calls of the ports, never the
core's state, and keeps its own books of what is accepted, alive, decided and allowed.
"""

from __future__ import annotations

from tests.simulation.books import QUOTA_WAITS_MAX, TRIES_MAX, Book, Known, Tried
from tests.simulation.digests import digests_of
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
    DeliveryBegun,
    EffectErrored,
    Event,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
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
from interlock.core.pipeline import Pipeline, WorkspaceMode
from interlock.journal.memory import MemoryBlobs
from interlock.ports import GateRequest
from interlock.text.globs import matches_any


class Oracle:
    def __init__(self, pipeline: Pipeline, store: Store, blobs: MemoryBlobs) -> None:
        self.known = Known(pipeline, store)
        self._blobs = blobs

    @property
    def finished(self) -> RunFinished | None:
        return self.known.finished

    # --- what the world does ---------------------------------------------------------------------

    def merging(self, ref: str) -> None:
        stage, number = ref.split("/")[-2:]
        epoch = int(number.split(".")[0])
        book = self.known.books[stage]
        done = epoch < book.epoch or (epoch == book.epoch and book.input is not None)
        require(not done, "S6", lambda: f"input of {stage} in epoch {epoch} is prepared again")

    def opening(self, attempt: AttemptId, commit: str, overlay: str) -> None:
        tried = self.known.claimed("open", attempt)
        work = self.known.store.commits[commit].work
        require(self.known.store.commits[commit].tree == tried.started.input_tree, "S1", f"{attempt} opens {commit}")
        require(work <= self.known.blessed, "S7", lambda: f"{attempt} starts from {sorted(work - self.known.blessed)}")
        if overlay and not tried.started.by:
            self.known.check_continued(attempt, overlay)

    def working(self, attempt: AttemptId, brief: str, secret: str) -> None:
        self.known.claimed("work", attempt)
        require(secret not in brief, "S7", lambda: f"{attempt} is told of a held-out check")

    def evaluating(self, request: GateRequest) -> None:
        name = f"{request.stage.id}/{request.gate.id}"
        require(
            self.known.store.commits[request.commit].tree == request.tree, "S2", lambda: f"{name} judges another tree"
        )
        known = self.known.verdicts_of(request.subject).get(name)
        decided = known is not None and known.status is not VerdictStatus.ERRORED
        require(not decided, "S6", lambda: f"{name} judges {request.subject} again")
        book = self.known.books.get(request.subject.stage)
        own = request.stage.id == request.subject.stage and request.gate.needs_baseline and request.stage.has_worker
        if (
            own
            and not request.subject.is_base
            and not request.subject.is_input
            and book
            and book.epoch == request.subject.epoch
        ):
            self.known.check_baseline(request, book)

    def evaluated(self, request: GateRequest, status: VerdictStatus) -> None:
        self.known.truth.add((request.gate.digest, request.tree, status))

    def delivering(self, branch: str, delivered: str) -> None:
        begun = self.known.delivering
        require(begun and (begun.branch, begun.commit) == (branch, delivered), "S4", f"{branch} is made without a word")
        require(not self.known.cancelled, "S4", f"{branch} is made after the run was cancelled")
        require(not self.known.delivered, "S6", "the branch is delivered again")
        require(set(self.known.store.branches) <= {branch}, "S6", f"{branch} is made beside another one")
        require(self.known.branch in ("", branch), "S4", f"{branch} is made, and a person said {self.known.branch}")
        commit = begun.source if begun else ""
        outputs = {book.output for book in self.known.books.values()}
        require(commit in outputs, "S1", lambda: f"{commit} is delivered and is no accepted output")
        require(all(outputs), "S1", "delivered before every stage was accepted")

    # --- what the journal says -------------------------------------------------------------------

    def appended(self, record: Recorded) -> None:
        event = record.event
        if isinstance(event, Refused):
            return
        late = self.known.finished is not None and not isinstance(event, OwnerChanged)
        require(not late, "S4", lambda: f"{event} after the run was finished")
        self._check_effect(event)
        seen = _SEEN.get(type(event))
        if seen is not None:
            seen(self, event)

    def check_rest(self) -> None:
        """Nothing moves: then it is finished, or it waits for a human and says so."""
        waits = self.known.run_paused or any(book.paused or book.asked for book in self.known.books.values())
        require(self.known.finished or waits, "L1", lambda: f"stuck: {self.describe()}")

    def describe(self) -> str:
        return "; ".join(
            f"{name} epoch {book.epoch}, output {book.output or '-'}" for name, book in self.known.books.items()
        )

    def _check_effect(self, event: Event) -> None:
        """An event implies its effect, whatever died in between."""
        for digest in digests_of(event):
            self._blobs.get(digest)
        store = self.known.store
        match event:
            case CandidateProduced():
                there = event.commit in store.commits
            case InputPrepared():
                there = event.commit == self.known.base or event.commit in store.commits
            case Delivered():
                there = store.branches.get(event.branch) == event.commit
            case _:
                return
        require(there, "S6", lambda: f"{event}, and nothing of it is there")

    # --- events ----------------------------------------------------------------------------------

    def _started(self, event: RunStarted) -> None:
        self.known.books = {stage: Book() for stage in event.stages}
        self.known.base = event.base_commit

    def _owner_changed(self, event: OwnerChanged) -> None:
        for tried in self.known.tried.values():
            tried.orphaned = tried.orphaned or (tried.candidate is None and not tried.ended)

    def _input_prepared(self, event: InputPrepared) -> None:
        book = self.known.current(event.subject, event)
        stage = self.known.pipeline.stage(event.subject.stage)
        outputs = [self.known.books[need].output for need in stage.needs]
        require(all(outputs), "S1", lambda: f"{event.subject} is prepared before its needs are accepted")
        expected = tuple(dict.fromkeys(outputs)) or (self.known.base,)
        require(event.sources == expected, "S1", lambda: f"{event.subject} is made of {event.sources}, not {expected}")
        require(book.input is None, "S6", lambda: f"{event.subject} is prepared twice")
        book.input = event
        book.merged = event.commit not in event.sources
        self.known.check_clean(event.commit, str(event.subject))

    def _when_held(self, event: WhenHeld) -> None:
        require(self.known.current(event.subject, event).input, "S1", "when is looked at without an input")

    def _skipped(self, event: StageSkipped) -> None:
        book = self.known.current(event.subject, event)
        if book.input is None:
            raise Violation("S1", f"{event.subject} is skipped without an input")
        if book.merged:
            require(not book.input.conflicts, "S1", lambda: f"{event.subject} passes a conflict on")
            self.known.check_merge(event.subject.stage, book, passed=True)
        book.output, book.skipped = book.input.commit, True

    def _attempt_started(self, event: AttemptStarted) -> None:
        book = self.known.current(event.attempt, event)
        stage = self.known.pipeline.stage(event.attempt.stage)
        if book.input is None:
            raise Violation("S1", f"{event.attempt} starts without an input")
        require(event.input_tree == book.input.tree, "S1", lambda: f"{event.attempt} starts from another tree")
        require(not book.output, "S4", lambda: f"{event.attempt} starts after the stage was accepted")
        current = tuple(dict.fromkeys(self.known.books[need].output for need in stage.needs)) or (self.known.base,)
        require(book.input.sources == current, "S1", lambda: f"{event.attempt} starts from a stale input")
        if book.merged and stage.has_worker and not book.input.conflicts:
            self.known.check_merge(event.attempt.stage, book, passed=False)
        require(event.attempt.number > book.number, "S6", lambda: f"{event.attempt} is claimed again")
        alive = book.newest is not None and book.newest.candidate is None and not book.newest.ended
        require(not alive, "S4", lambda: f"{event.attempt} starts beside another")
        self.known.check_bounds(event, book, stage)
        if book.newest is not None:
            book.newest.ended = True
        book.newest = self.known.tried[event.attempt] = Tried(event)
        book.number, book.asked, book.paused = event.attempt.number, set(), ""

    def _produced(self, event: CandidateProduced) -> None:
        tried, book = self.known.alive(event.attempt, event, judged=False)
        stage = self.known.pipeline.stage(event.attempt.stage)
        tried.candidate = event
        if event.refusal is not None:
            tried.verdicts[event.refusal.gate] = event.refusal
        book.quotas = 0
        book.errors.clear()
        self.known.paid += bool(tried.started.agent)
        carried = self.known.store.commits[event.commit].work - self.known.blessed - {str(event.attempt)}
        allowed = stage.workspace is WorkspaceMode.CONTINUE or bool(tried.started.by)
        require(allowed or not carried, "S7", lambda: f"{event.attempt} carries work of {sorted(carried)}")

    def _errored(self, event: AttemptErrored) -> None:
        tried, book = self.known.alive(event.attempt, event, judged=False)
        tried.ended = True
        book.errors[tried.started.agent] += not event.quota
        book.quotas += event.quota
        most = max(book.errors.values())  # one that stands in has tries of its own
        require(most <= TRIES_MAX, "L1", lambda: f"{event.attempt} is tried {most} times")
        require(book.quotas <= QUOTA_WAITS_MAX, "L1", lambda: f"{event.attempt} waits for quota {book.quotas} times")

    def _lost(self, event: AttemptLost) -> None:
        tried, book = self.known.alive(event.attempt, event, judged=None)
        tried.ended = True
        book.asked = set()

    def _verdict(self, event: VerdictGiven) -> None:
        verdicts = self.known.verdicts_of(event.subject)
        former = verdicts.get(event.gate)
        decided = former is not None and former.status is not VerdictStatus.ERRORED
        require(not decided, "S6", lambda: f"{event.gate} has decided on {event.subject} before")
        if not event.subject.is_base:
            book = self.known.current(event.subject, event)
            if not event.subject.is_input:
                self.known.alive(event.subject, event, judged=True)
            require(book.input is not None, "S4", lambda: f"{event.gate} judges {event.subject} without input")
        self.known.check_truth(event)
        verdicts[event.gate] = event
        if event.status is VerdictStatus.ERRORED:
            self.known.count(f"{event.subject} {event.gate}")

    def _asked(self, event: ApprovalAsked) -> None:
        tried, book = self.known.alive(event.subject, event, judged=True)
        require(event.gate not in tried.verdicts, "S6", lambda: f"{event.gate} is asked again")
        book.asked.add(event.gate)

    def _answered(self, event: AnswerTaken) -> None:
        book = self.known.books.get(event.stage)
        match event.action:
            case Action.CANCEL:
                self.known.cancelled = True
            case Action.RAISE:
                self.known.raised.update(dict(event.limits))
                self.known.forget_failures(event.action)
            case Action.CONTINUE:
                self.known.branch = event.branch or self.known.branch
                self.known.forget_failures(event.action)
            case Action.APPROVE | Action.REJECT if book is not None and event.subject is not None:
                tried, _ = self.known.alive(event.subject, event, judged=True)
                require(event.gate in book.asked, "S4", lambda: f"{event.action} of {event.gate}, which does not wait")
                book.asked.discard(event.gate)
                status = VerdictStatus.PASSED if event.action is Action.APPROVE else VerdictStatus.FAILED
                tried.verdicts[event.gate] = VerdictGiven(event.subject, event.gate, 1, status, by=event.by)
            case Action.ACCEPT if event.subject is not None:
                self.known.current(event.subject, event)
                self.known.accepts[event.subject] = event
                self.known.forget(event.stage)
            case Action.RETRY if book is not None:
                book.paused = ""
                book.charged = book.quotas = 0
                book.errors.clear()
                self.known.forget_failures(event.action, event.stage)
            case _:
                raise Violation("S4", f"{event} names nothing")

    def _accepted(self, event: HandoffAccepted) -> None:
        book = self.known.current(event.attempt, event)
        tried = self.known.tried.get(event.attempt)
        if tried is None or tried.candidate is None or book.input is None:
            raise Violation("S2", f"{event.attempt} is accepted without a candidate")
        require(not book.output, "S4", lambda: f"{event.attempt} is accepted after another was")
        same = (event.commit, event.tree) == (tried.candidate.commit, tried.candidate.tree)
        require(same, "S2", lambda: f"{event.attempt}: accepted is not what was judged")
        answer = self.known.accepts.get(event.attempt)
        if answer is None:
            self.known.alive(event.attempt, event, judged=True)
        told = answer is not None and event.override_by == answer.by
        require(not event.override_by or told, "S2", lambda: f"nobody overrode {event.attempt}")
        if answer is None or not answer.override or not event.override_by:
            self.known.check_passed(event, tried, book, by_person=answer is not None)
        book.output, book.paused, book.asked = event.commit, "", set()
        self.known.blessed |= self.known.store.commits[event.commit].work

    def _rejected(self, event: CandidateRejected) -> None:
        tried, book = self.known.alive(event.attempt, event, judged=True)
        no = any(verdict.status is VerdictStatus.FAILED for verdict in tried.verdicts.values())
        require(no, "S2", lambda: f"{event.attempt} is rejected and no gate said no")
        tried.ended = True
        book.asked = set()
        book.rejected.append(event.attempt)
        book.charged += 1

    def _sent_back(self, event: SentBack) -> None:
        book = self.known.current(event.attempt, event)
        if event.rule >= 0:
            rule = self.known.pipeline.stage(event.attempt.stage).on_reject[event.rule]
            self.known.loops[event.attempt.stage, event.rule] += 1
            count = self.known.loops[event.attempt.stage, event.rule]
            require(count <= rule.max, "L1", lambda: f"{event.attempt.stage} is sent back {count} times")
            fits = rule.goto == event.target and book.rejected and book.rejected[-1] == event.attempt
            fits = fits and self._lies_within(event.attempt, rule.within)
            require(fits, "S4", lambda: f"{event} fits no rejection")
        expected = {name for name in self.known.pipeline.downstream(event.target) if name in self.known.books}
        require(set(event.resets) == expected, "S1", lambda: f"{event.target} resets {event.resets}")
        for name in event.resets:
            former = self.known.books[name]
            if former.newest is not None:
                former.newest.ended = True
            self.known.books[name] = Book(epoch=former.epoch + 1)
        self.known.failures.pop("DeliverBranch", None)
        self.known.delivered, self.known.run_paused = "", False

    def _lies_within(self, attempt: AttemptId, globs: tuple[str, ...]) -> bool:
        verdicts = self.known.tried[attempt].verdicts.values()
        said = [verdict for verdict in verdicts if verdict.status is VerdictStatus.FAILED]
        found = [finding for verdict in said for finding in verdict.findings if finding.severity == "error"]
        return not globs or all(not one.secret and matches_any(globs, one.file) for one in found)

    def _paused(self, event: Paused) -> None:
        if event.stage:
            self.known.books[event.stage].paused = event.reason
        else:
            self.known.run_paused = True

    def _effect_errored(self, event: EffectErrored) -> None:
        self.known.count(event.effect)
        if event.undone:
            self.known.delivering = None

    def _delivery_begun(self, event: DeliveryBegun) -> None:
        require(not self.known.cancelled, "S4", "a delivery begins after the run was cancelled")
        self.known.delivering = event

    def _delivered(self, event: Delivered) -> None:
        require(not self.known.delivered, "S6", "delivered twice")
        self.known.delivered, self.known.delivering = event.commit, None

    def _finished(self, event: RunFinished) -> None:
        self.known.finished = event
        if event.status is RunStatus.ACCEPTED:
            require(all(book.output for book in self.known.books.values()), "S2", "accepted with stages that are not")
        if event.status is RunStatus.CANCELLED:
            require(self.known.cancelled, "S4", "cancelled by nobody")
            hidden = self.known.store.branches and not (self.known.delivering and "may exist" in event.why)
            require(not hidden, "S4", "cancelled, and the branch is there")


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
    DeliveryBegun: Oracle._delivery_begun,
    Delivered: Oracle._delivered,
    RunFinished: Oracle._finished,
}
