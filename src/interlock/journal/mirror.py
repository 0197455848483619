"""The runs of a repository: those that processes of this machine drive, and copies of those that a server drives.

Rule: a run of a server is copied into the local journal when it is looked at, at most once a second; a process that
follows it copies it alone. Only what fits is copied, so that the copy can always be read. What the server does not tell
is shown as it was copied last, and that is said.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from interlock.core.admission import admit_copy
from interlock.core.events import Recorded, RunFinished, RunStarted
from interlock.core.fold import apply, fold
from interlock.core.inbox import Answer
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState
from interlock.journal.rules import settles
from interlock.ports import Damaged, Engine, Fenced, InfrastructureError, InterlockError, Journal, Notes

LOOK_S = 1.0  # between two looks at a run on the server
DOWN_S = 10.0  # a server that did not answer is not asked again for so long
ADOPTED = "adopted"  # the kind of a note: the run belongs to another repository
_LOOKS_MAX, _LOOK_AGAIN_S = 50, 0.1  # at what another process copies
_ENGINE = "engine"  # the same: which server drives the run
_SILENT = "silent"
_KEPT = "kept"  # the kind of a note: the end of the run is not what a server told


class NotThere(InfrastructureError):
    """The server has no such run: not yet, or no more."""


class LeftBehind(InfrastructureError):
    """Nobody tells how this one run goes; of others that says nothing."""


@dataclass(frozen=True, slots=True)
class Found:
    """A run that the server has, with its whole history so far, and the text of its pipeline."""

    records: Sequence[Recorded]
    pipeline: str


class Far(Protocol):
    """The runs of a server. Everything raises InfrastructureError soon if it does not answer, NotThere if it has no
    such run, LeftBehind if it does not tell of this one."""

    def news(self, run: str, after: int) -> list[Recorded]:
        """The next events beyond seq `after`, with all that they tell of on this machine. They are checked before
        anything comes of them."""

    def kept(self, run: str, after: int) -> list[Recorded]:
        """The same, of what was kept where the server does not look after it. Nothing says that it is true."""

    def tell(self, run: str, answers: Sequence[Answer], base: str) -> None:
        """`base` is the commit that the run began with."""

    def waits(self, run: str) -> tuple[tuple[str, str, str], ...]:
        """Subject, gate and why of what waits there, such as for a worker."""

    def find(self, run: str) -> Found:
        """With the commit of its base on this machine."""


@dataclass(slots=True)
class MirroredRuns:
    """Implements `ports.Engine`. `follower` gives the process of this machine that follows or drives a run, empty for
    nobody; `copier` the one that copies its history. `alone` keeps others from taking the run, and raises
    InfrastructureError where somebody is about to. `far` is asked for only where there is a run of a server, and, with
    `has_server`, for runs that nobody here knows. `parse` reads the text of a pipeline."""

    local: Engine
    journal: Journal
    notes: Notes
    far: Callable[[], Far]
    follower: Callable[[str], str]
    copier: Callable[[str], str]
    alone: Callable[[str], AbstractContextManager[object]]
    elapsed: Callable[[], float]
    parse: Callable[[str], Pipeline]
    has_server: bool = True
    pause: Callable[[float], None] = time.sleep
    _known: dict[tuple[str, str], str] = field(default_factory=dict)  # notes by kind and run, empty where there is none
    _seen: dict[str, int] = field(default_factory=dict)  # of runs of a server: seq
    _ends: dict[str, tuple[Pipeline, RunState]] = field(default_factory=dict)  # of copies that this process adds to
    _over: set[str] = field(default_factory=set)
    _looked: dict[str, float] = field(default_factory=dict)
    _silent: dict[str, tuple[float, str]] = field(default_factory=dict)  # by run, or all of them: until when, and why
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def start(self, at: float, started: RunStarted, pipeline: str) -> None:
        if started.engine:
            self.notes.note(_ENGINE, started.run, started.engine)
        self.local.start(at, started, pipeline)

    def runs(self) -> list[str]:
        return self.local.runs()

    def heads(self, most: int) -> dict[str, int]:
        for run in [run for run in self._seen if run not in self._over]:
            self._catch_up(run)
        return self.local.heads(most)

    def pipeline(self, run: str) -> str | None:
        return self.local.pipeline(run)

    def history(self, run: str, after: int = 0) -> Iterator[list[Recorded]]:
        """What is here, then what is new on the server."""
        newest = after
        for page in self.local.history(run, after):
            newest = self._learn(run, page, newest)
            yield page
        if self._engine(run) and run not in self._over and self._look(run, newest):
            for page in self.local.history(run, newest):
                newest = self._learn(run, page, newest)
                yield page

    def answer(self, answer: Answer) -> None:
        """It lies in the inbox until the history says what became of it, so that it is told again if need be."""
        self.local.answer(answer)
        if self._engine(answer.run) and not self.copier(answer.run):
            self._looked.pop(answer.run, None)
            self._catch_up(answer.run)

    def untaken(self, run: str) -> list[Answer]:
        return self.local.untaken(run)

    def owner_of(self, run: str) -> str:
        """A process of this machine, or the server, by the name of its engine."""
        if follower := self.follower_of(run):
            return follower
        engine = self._engine(run)
        if not engine:
            return ""
        self._catch_up(run)
        return engine if self._seen.get(run, 0) > 1 and run not in self._over else ""

    def follower_of(self, run: str) -> str:
        return self.follower(run) if self._engine(run) else self.local.follower_of(run)

    def behind(self, run: str) -> str:
        """Why what is shown of the run may be old; empty if it is not."""
        if not self._engine(run):
            return ""
        return self._why_kept(run) or ("" if run in self._over else self._why_silent(run))

    def catch_up(self, run: str, after: int) -> bool:
        """Where a process follows the run, it is waited for until it has copied what the server tells."""
        for _ in range(_LOOKS_MAX if self._engine(run) and run not in self._over else 0):
            self._looked.pop(run, None)
            self._catch_up(run)
            if self._seen.get(run, 0) > after:
                return True
            if not self.copier(run) or not self._has_more(run, after):
                return False
            self.pause(_LOOK_AGAIN_S)
        return False

    def waits(self, run: str) -> tuple[tuple[str, str, str], ...]:
        """A process that follows the run tells it itself."""
        if self.copier(run) or run in self._over or not self._engine(run) or self._why_silent(run):
            return ()
        try:
            return self.far().waits(run)
        except InterlockError:
            return ()

    def unreached(self) -> str:
        silent = (each[1] for each in self._silent.values() if self.elapsed() < each[0])
        kept = (self._why_kept(run) for kind, run in self._known if kind == _KEPT)
        return next((why for why in (*silent, *kept) if why), "")

    def adopt(self, run: str) -> bool:
        """Copy a run that another repository started. False if the server has none, or cannot be asked."""
        if not self.has_server:
            return False
        try:
            found = self.far().find(run)
            first = first_of(run, found.records)
            pipeline, state = self.parse(found.pipeline), RunState()
            for record in found.records:
                state = followed(run, pipeline, state, record)
        except NotThere:
            return False
        except (Damaged, LeftBehind) as error:
            self._silent[run] = self.elapsed() + DOWN_S, str(error)
            return False
        except InterlockError as error:
            self._silent[_SILENT] = self.elapsed() + DOWN_S, str(error)
            return False
        at, started = first
        self.notes.note(ADOPTED, run, "1")
        self.start(at, started, found.pipeline)
        self._known[_ENGINE, run] = started.engine
        self._append(run, 1, found.records[1:])
        return True

    # --- what is known of a run

    def _engine(self, run: str) -> str:
        """Empty for this machine."""
        return self._noted(_ENGINE, run)

    def _noted(self, kind: str, run: str) -> str:
        if (kind, run) not in self._known:
            self._known[kind, run] = self.notes.noted(kind, run) or ""
        return self._known[kind, run]

    def _learn(self, run: str, page: Sequence[Recorded], newest: int) -> int:
        """The seq of the newest event, which is `newest` before this page."""
        newest = page[-1].seq if page else newest
        if self._engine(run):
            self._seen[run] = max(self._seen.get(run, 0), newest)
            if any(isinstance(record.event, RunFinished) for record in page):
                self._over.add(run)
        return newest

    def _catch_up(self, run: str) -> None:
        """Know the run as far as it is here, or as the server tells."""
        for _ in self.history(run, self._seen.get(run, 0)):
            pass

    def _why_silent(self, run: str) -> str:
        waits = (self._silent.get(run), self._silent.get(_SILENT))
        return next((each[1] for each in waits if each and self.elapsed() < each[0]), "")

    def _why_kept(self, run: str) -> str:
        if not self._noted(_KEPT, run):
            return ""
        return f"the server has forgotten run {run}, and only what was kept among the blobs tells how it ended"

    def _has_more(self, run: str, after: int) -> bool:
        """Whether the server has more than seq `after`, or is about to be given the run."""
        try:
            return bool(self.far().news(run, after))
        except NotThere:
            return after <= 1
        except InterlockError:
            return False

    # --- copying

    def _look(self, run: str, newest: int) -> bool:
        """Whether the local journal may have got more. At most once a second; one thread at a time."""
        if self.copier(run) or self._why_silent(run) or not self._turn.acquire(blocking=False):
            return False
        try:
            if self.elapsed() - self._looked.get(run, float("-inf")) < LOOK_S:
                return False
            return self._copy(run, newest)
        finally:
            self._looked[run] = self.elapsed()
            self._turn.release()

    def _copy(self, run: str, newest: int) -> bool:
        copied = False
        try:
            far = self.far()
            if untaken := self.local.untaken(run):
                far.tell(run, untaken, self._base(run))
            while records := self._news(far, run, newest):
                require_next(run, newest, records)
                copied = True
                if not self._append(run, newest, records):
                    break
                newest = records[-1].seq
        except NotThere as error:
            if newest > 1 and not self._why_kept(run):  # else it waits for a process that starts it there
                self._silent[run] = self.elapsed() + DOWN_S, str(error)
        except (Damaged, LeftBehind) as error:
            self._silent[run] = self.elapsed() + DOWN_S, str(error)
        except InterlockError as error:
            self._silent[_SILENT] = self.elapsed() + DOWN_S, str(error)
        return copied

    def _news(self, far: Far, run: str, newest: int) -> list[Recorded]:
        """By the server; or, where it knows the run no more, what was kept of it."""
        try:
            return far.news(run, newest)
        except NotThere:
            if not (kept := far.kept(run, newest)):
                raise
            self.notes.note(_KEPT, run, "1")
            self._known[_KEPT, run] = "1"
            return kept

    def _base(self, run: str) -> str:
        first = next(self.local.history(run))[0].event
        assert isinstance(first, RunStarted)
        return first.base_commit

    def _append(self, run: str, after: int, records: Sequence[Recorded]) -> bool:
        """Under a fence of its own, while nobody can take the run. Whether it was this process that copied them."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self.alone(run))
            except InfrastructureError:
                return False
            pipeline, state = self._end(run)
            if self.copier(run) or state.seq != after:
                return False
            try:
                fence = self.journal.take(run)
                for record in records:
                    state = followed(run, pipeline, state, record)
                    self.journal.append(run, fence, record.seq - 1, record.at, record.event)
                    self._ends[run] = pipeline, state
            except Fenced:  # another process has copied them meanwhile
                return False
        if state.finished is not None:
            self._ends.pop(run, None)
        return True

    def _end(self, run: str) -> tuple[Pipeline, RunState]:
        """The run's pipeline, and its state where the copy that is here ends. Only what is new of it is read."""
        pipeline, state = self._ends.get(run) or (self.parse(self.pipeline(run) or ""), RunState())
        for page in self.local.history(run, state.seq):
            state = fold(page, state)
        return pipeline, state


def followed(run: str, pipeline: Pipeline, state: RunState, record: Recorded) -> RunState:
    """The state after the next event of the run on a server. Raises Damaged if it does not fit."""
    require_fits(run, pipeline, state, record)
    return apply(state, record)


def require_fits(run: str, pipeline: Pipeline, state: RunState, record: Recorded) -> None:
    """Raises Damaged for a next event on a server that does not fit: a journal holds none."""
    if why := admit_copy(pipeline, state, record.event):
        raise Damaged(f"event {record.seq} of run {run} on the server does not fit: {why}: it is not taken")


def require_next(run: str, after: int, records: Sequence[Recorded]) -> None:
    """Raises Damaged unless these are the next events after seq `after`, none of them another beginning, and a journal
    can hold them."""
    for seq, record in enumerate(records, after + 1):
        if record.seq != seq or (seq > 1 and isinstance(record.event, RunStarted)):
            raise Damaged(f"the server tells event {record.seq} of run {run} where event {seq} comes: it is not taken")
        if not settles(record.event).isascii():
            raise Damaged(f"event {seq} of run {run} on the server names an answer that nobody gave: it is not taken")


def require_own(run: str, records: Sequence[Recorded]) -> RunStarted:
    """How the run began. Raises Damaged if these are not the records of this run from its beginning."""
    require_next(run, 0, records)
    started = records[0].event if records else None
    if not isinstance(started, RunStarted) or started.run != run:
        raise _not_its_own(run)
    return started


def first_of(run: str, records: Sequence[Recorded]) -> tuple[float, RunStarted]:
    """When and how the run began. Raises Damaged as `require_own`, or if it is not driven by a server: this machine
    would drive it."""
    started = require_own(run, records)
    if not started.engine:
        raise _not_its_own(run)
    return records[0].at, started


def _not_its_own(run: str) -> Damaged:
    return Damaged(f"what the server tells of run {run} is not the history of that run: it is not taken")
