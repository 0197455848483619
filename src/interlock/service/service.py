"""The service: one object that every surface calls. It holds the stores and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TypeVar

from interlock.core.events import Recorded
from interlock.core.ids import AttemptId, parse_attempt
from interlock.core.inbox import Answer
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState
from interlock.execution.histories import Histories
from interlock.execution.records import recorded_pipeline
from interlock.ports import (
    Blobs,
    Cancel,
    Clock,
    Damaged,
    Engine,
    Gates,
    InfrastructureError,
    UsageError,
    Workspaces,
)
from interlock.readmodel.run import OVER, RunPhase, RunSummary, RunView, WaitView, unreadable
from interlock.service.answers import AnswerRequest, no_candidate, to_answer
from interlock.service.checks import Checked, CheckRequest, check, check_proposal, with_judges_of_base
from interlock.service.formats import moment
from interlock.service.integrity import lost_run, naming_run
from interlock.service.runs import RunRequest, begin, in_order, run_named
from interlock.settings import is_run_id
from interlock.text.cleaning import plain

Seen = TypeVar("Seen", RunSummary, RunView)

_SHOWN_MAX = 10
_NAMED_MAX = 20  # attempts


@dataclass(frozen=True, slots=True)
class Service:
    """`engine` drives the runs; the `new_*_id` functions name new things; `workspaces`
    and `gates` are made when they are first needed. `lost_runs` are those that were recorded and that the journal does
    not know; `vanished` says what is wrong if there is no run although there were some; `aside` are damaged runs that
    a person has set aside. `ready` is called before each new run and raises what is in its way, `begun` after it,
    `settle` when a run is answered or driven."""

    engine: Engine
    histories: Histories
    blobs: Blobs
    workspaces: Callable[[], Workspaces]
    gates: Callable[[], Gates]
    clock: Clock
    new_run_id: Callable[[], str]
    new_answer_id: Callable[[], str]
    lost_runs: Callable[[], Sequence[str]] = tuple
    vanished: str = ""
    aside: Callable[[], Collection[str]] = frozenset
    ready: Callable[[], object] = lambda: None
    begun: Callable[[], None] = lambda: None
    settle: Callable[[], None] = lambda: None

    def start_run(self, request: RunRequest) -> str:
        """Record a new run and return its id; an engine then drives it. Raises UsageError, and InfrastructureError if
        the records of its handoffs could not be signed."""
        self.ready()
        run = self.new_run_id()
        begin(self.engine, run, self.clock.now(), request)
        self.begun()
        return run

    def pipeline_of(self, run: str) -> Pipeline:
        with naming_run(run):
            return self._pipeline(run)

    def stages_of_newest(self) -> tuple[str, ...]:
        """The stages of the newest listed run that can be read; empty if there is none."""
        aside = self.aside()
        for run in reversed(self.run_ids()):
            if run not in aside and self._listed(run).is_readable:
                return tuple(stage.id for stage in self.pipeline_of(run).stages)
        return ()

    def describe_run(self, run: str) -> RunView:
        """A run with its whole history. Raises UsageError if there is no such run, InfrastructureError if it cannot be
        read."""
        with naming_run(run):
            answered = self.has_answer(run)
            pipeline_of = partial(self._pipeline, run, self.histories.gathered_state)
            view = self.histories.view(pipeline_of, run, self.engine.owner_of(run))
            return _with_answer(self._as_of(view), answered=answered)

    def locate_run(self, run: str) -> RunSummary:
        """Where a run is, without its history. Raises as `describe_run`."""
        with naming_run(run):
            answered = self.has_answer(run)
            pipeline_of = partial(self._pipeline, run)
            standing = self.histories.standing(pipeline_of, run, self.engine.owner_of(run))
            return _with_answer(self._as_of(standing), answered=answered)

    def has_answer(self, run: str) -> bool:
        """Whether the run's inbox has an answer that no owner has taken yet."""
        return bool(self.engine.untaken(run))

    def owner_of(self, run: str) -> str:
        """Who drives the run: a process of this machine, or a server; empty for nobody."""
        return self.engine.owner_of(run)

    def follower_of(self, run: str) -> str:
        """The process of this machine that drives the run, or follows it on a server; empty for nobody."""
        return self.engine.follower_of(run)

    def needs_driver(self, run: str) -> bool:
        """Whether a process here would have something to do that none does: an answer is in the inbox, or a server
        drives the run and nobody follows it."""
        return not self.follower_of(run) and (self.has_answer(run) or self.locate_run(run).is_remote)

    def unreached(self) -> str:
        """Why runs of a server could not be looked at lately; empty if they could."""
        return self.engine.unreached()

    def adopt(self, run: str) -> bool:
        """Whether the run is known here, or now is, since a server has it: only by its whole id."""
        if run in self.run_ids():
            return True
        found = is_run_id(run) and self.engine.adopt(run)
        if found:
            self.begun()
        return found

    def run_ids(self) -> list[str]:
        """All runs, oldest first, lost ones among them. Raises Damaged if there were runs and nothing says which."""
        found = in_order(self.engine.runs(), self.lost_runs())
        if not found and self.vanished:
            raise Damaged(self.vanished)
        return found

    def has_vanished(self) -> bool:
        """Whether there were runs and nothing says which."""
        return bool(self.vanished) and not self.engine.runs() and not self.lost_runs()

    def list_runs(self, count: int = 50) -> list[RunSummary]:
        """The newest runs, newest first. The phase of a run that cannot be read says so; damaged runs that were set
        aside are left out."""
        aside = self.aside()
        listed = (self._listed(run) for run in reversed(self.run_ids()))
        shown = (run for run in listed if run.phase is not RunPhase.DAMAGED or run.id not in aside)
        return list(islice(shown, count))

    def damaged_runs(self) -> list[RunSummary]:
        """Newest first, with those that are set aside."""
        listed = (self._listed(run) for run in reversed(self.run_ids()))
        return [run for run in listed if run.phase is RunPhase.DAMAGED]

    def lost_and_missed(self) -> list[str]:
        """Runs that the journal does not know, and that nobody has set aside."""
        aside = self.aside()
        return [run for run in self.lost_runs() if run not in aside]

    def history(self, run: str, after: int = 0) -> list[Recorded]:
        """Events beyond seq `after`."""
        return [record for page in self.engine.history(run, after) for record in page]

    def page(self, run: str, after: int = 0) -> list[Recorded]:
        """The next events beyond seq `after`: a bounded number; empty if there are none."""
        return next(self.engine.history(run, after), [])

    def choose_run(self, name: str, fits: Callable[[RunSummary], bool] = lambda _: True) -> RunSummary:
        """The run that `name` means (see `run_named`). Without a name the only one that fits, or if none fits, the only
        unfinished one, of which the caller can say why it does not fit. Raises UsageError if there is none or several,
        or one fits and another cannot be read, which may be the one that is meant; InfrastructureError if none fits and
        one cannot be read."""
        if name:
            self.adopt(name)
            aside = self.aside()
            newest_last = sorted(self.run_ids(), key=lambda run: run not in aside)  # `@` is a listed run
            return self.locate_run(run_named(newest_last, name))
        runs = self.list_runs()
        fitting = [run for run in runs if run.is_readable and fits(run)]
        unreadable_runs = [run for run in runs if not run.is_readable]
        if unreadable_runs and fitting:
            words = f"name a run: {unreadable_runs[0].id} cannot be read, and may be the one that you mean:"
            raise UsageError("\n".join([words, *map(_row, fitting[:_SHOWN_MAX])]))
        if len(fitting) == 1:
            return fitting[0]
        if unreadable_runs:
            raise _unreadable_error(unreadable_runs[0], "no readable run fits")
        if not fitting:
            return _only_unfinished(runs)
        raise UsageError("\n".join(["name a run:", *map(_row, fitting[:_SHOWN_MAX])]))

    def latest_run(self, name: str = "", passed_over: Callable[[RunSummary], None] = lambda _: None) -> RunSummary:
        """The run of that name; without one the only unfinished run, else the newest. Raises UsageError, and
        InfrastructureError if none can be read. `passed_over` is called with each run that cannot be read."""
        if name:
            return self.choose_run(name)
        runs = self.list_runs()
        if not runs and self.aside():
            raise UsageError("every run of this repository is damaged and set aside: `interlock doctor` names them")
        if not runs:
            raise UsageError("no runs in this repository yet: `interlock run -p PIPELINE TASK` starts one")
        readable = [run for run in runs if run.is_readable]
        if not readable:
            raise _unreadable_error(runs[0], "no run of this repository can be read")
        for run in runs:
            if not run.is_readable:
                passed_over(run)
        unfinished = [run for run in readable if run.phase not in OVER]
        return unfinished[0] if len(unfinished) == 1 else readable[0]

    def answer(self, view: RunView, request: AnswerRequest) -> Answer:
        """Put an answer into the inbox. The owner journals it; if nobody owns the run, drive it next."""
        try:
            answer = to_answer(view, request, self.new_answer_id, self.clock.now())
        except UsageError:
            if not self.engine.catch_up(view.id, view.seq):
                raise
            answer = to_answer(self.describe_run(view.id), request, self.new_answer_id, self.clock.now())
        self.engine.answer(answer)
        self.settle()
        return answer

    def check(self, request: CheckRequest, cancel: Cancel | None = None) -> Iterator[Checked]:
        return check(self.gates(), self.blobs, request, cancel)

    def check_proposal(self, requests: Sequence[CheckRequest]) -> Checked | None:
        return check_proposal(self.gates(), self.blobs, requests)

    def with_judges_of_base(self, request: CheckRequest) -> tuple[CheckRequest, tuple[str, ...]]:
        return with_judges_of_base(self.workspaces(), request)

    def commit_of(self, view: RunView, name: str) -> str:
        """The commit that `base`, STAGE (accepted) or STAGE/EPOCH.NUMBER names in a run. Raises UsageError."""
        if name == "base":
            return view.base_commit
        if name in {stage.id for stage in view.stages}:
            commit = view.stage(name).commit
            if not commit:
                stage = view.stage(name)
                hint = f": name an attempt, such as {stage.attempts[-1].id}" if stage.attempts else ""
                raise UsageError(f"stage {name} of run {view.id} is {stage.phase}: nothing accepted yet{hint}")
            return commit
        return self._commit_of_attempt(view, _attempt(view, name))

    def _commit_of_attempt(self, view: RunView, attempt: AttemptId) -> str:
        if attempt.is_base:
            return view.base_commit
        stage = view.stage(attempt.stage)
        if attempt.is_input and stage.input is not None and stage.input.subject == attempt:
            return stage.input.commit
        try:
            commit = view.attempt(attempt).commit
        except KeyError as error:
            raise UsageError(f"run {view.id} has no attempt {attempt}: {_there_are(view)}") from error
        if not commit:
            raise UsageError(no_candidate(view, view.attempt(attempt)))
        return commit

    def _as_of(self, seen: Seen) -> Seen:
        """With why it may be old, if it may."""
        why = self.engine.behind(seen.id)
        return replace(seen, behind=f"{why}: shown is what was known at {moment(seen.at)}") if why else seen

    def _listed(self, run: str) -> RunSummary:
        try:
            return self.locate_run(run)
        except InfrastructureError as error:
            if not error.permanent:
                raise
            why = str(error).removeprefix(f"run {run} cannot be read: ")
            return unreadable(run, why, damaged=isinstance(error, Damaged))

    def _pipeline(self, run: str, state_of: Callable[[str], RunState] | None = None) -> Pipeline:
        """Raises UsageError if there never was such a run."""
        try:
            return recorded_pipeline(self.engine, run, state_of or self.histories.state)
        except UsageError:
            if run in self.lost_runs():
                raise lost_run() from None
            raise


def _with_answer(seen: Seen, *, answered: bool) -> Seen:
    """A waiting run whose inbox has an answer waits no more for a person, but for an owner that takes the answer. The
    inbox is read before the history: an answer that is taken meanwhile shows in the history."""
    if not answered or seen.phase is not RunPhase.WAITING:
        return seen
    return replace(seen, phase=RunPhase.RUNNING if seen.owner else RunPhase.INTERRUPTED)


def input_of(view: RunView, name: str) -> str:
    """The input tree of an attempt, or of the accepted attempt of a stage."""
    for stage in view.stages:
        for attempt in stage.attempts:
            if str(attempt.id) == name or (stage.id == name and attempt.commit == stage.commit):
                return attempt.input_tree
    return view.base_commit


def _attempt(view: RunView, name: str) -> AttemptId:
    known = ", ".join(stage.id for stage in view.stages)
    try:
        attempt = parse_attempt(name)
        view.stage(attempt.stage)
    except (ValueError, KeyError) as error:
        expected = f"expected base, a stage ({known}) or STAGE/EPOCH.NUMBER"
        raise UsageError(f"{name}: {expected}: {_there_are(view)}") from error
    return attempt


def _there_are(view: RunView) -> str:
    names = [str(attempt.id) for stage in view.stages for attempt in stage.attempts]
    shown = ", ".join(names[-_NAMED_MAX:]) or "none yet"
    more = f"; `interlock show {view.id}` lists all {len(names)}" if len(names) > _NAMED_MAX else ""
    return f"there are {shown}{more}"


def _unreadable_error(run: RunSummary, words: str) -> InfrastructureError:
    kind = Damaged if run.phase is RunPhase.DAMAGED else InfrastructureError
    return kind(f"{words}: {run.id} is {run.phase}: {run.why}: `interlock doctor` says more", permanent=True)


def _only_unfinished(runs: Sequence[RunSummary]) -> RunSummary:
    unfinished = [run for run in runs if run.phase not in OVER]
    if len(unfinished) == 1:
        return unfinished[0]
    if unfinished:
        rows = map(_row, unfinished[:_SHOWN_MAX])
        raise UsageError("\n".join(["no run fits. Of these, `interlock status RUN` shows what each needs:", *rows]))
    raise UsageError("no run fits: `interlock list` shows those there are, `interlock run -p PIPELINE TASK` starts one")


def _row(run: RunSummary) -> str:
    task = " ".join(plain(run.task, 200).split())
    row = f"  {run.id}  {run.phase:<11}  {task[:60]}{' ...' if len(task) > 60 else ''}"
    return "\n".join([row, *(f"    {_wait(wait)}" for wait in run.waits)])


def _wait(wait: WaitView) -> str:
    if wait.reason == "approval":
        return f"{wait.subject} waits for an approval of gate {wait.gate.partition('/')[2]}"
    return f"{wait.subject or wait.stage or 'it'} is paused ({wait.reason.replace('_', ' ')})"
