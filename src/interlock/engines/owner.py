"""Owning a run: the lock, the fence, then the loop. One process owns a run at a time.

Rule: the kernel frees the lock of a dead owner; the fence shuts out one that is stopped but not dead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from interlock.core.events import Recorded
from interlock.core.inbox import Answer
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState
from interlock.engines.local import LocalEngine
from interlock.execution.context import Context
from interlock.execution.ledger import Ledger
from interlock.ports import Fenced, Journal, World
from interlock.process import prepare


class HeldLock(Protocol):
    """A run's lock, while it is held."""

    def check(self) -> None:
        """Raises InfrastructureError where somebody has seized it since."""


@dataclass(frozen=True, slots=True)
class Drive:
    """What an engine is given to drive one run."""

    ledger: Ledger
    world: World
    context: Context
    stop: threading.Event
    answers: Callable[[], Sequence[Answer]]  # that lie in the inbox


class Driving(Protocol):
    """What drives one run, on a thread of this process."""

    def drive(self) -> None:
        """Go on until the run is finished, waits for a human, or is stopped."""


class Observer(Protocol):
    """Somebody who is there while a run is driven, and never in its way."""

    def hear(self, record: Recorded) -> None:
        """After each append, on the appending thread."""

    def close(self) -> None:
        """The driving is over, whatever ended it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Drives runs in this process. `lock` raises InfrastructureError, naming the owner, where a run is taken; `seize`
    takes it all the same. `effects` gives a run's second lock, held around what cannot be undone and while the run is
    taken: an owner that is stopped in such an effect is not replaced in the middle of it. `state_of` reads the whole
    history, `pipeline_of` what the run began with; `name` is how this process signs (`pid@host`). Each of `attendants`
    makes one for a run."""

    world: World
    journal: Journal
    lock: Callable[[str], AbstractContextManager[HeldLock]]
    seize: Callable[[str], AbstractContextManager[object]]
    state_of: Callable[[str], RunState]
    pipeline_of: Callable[[str], Pipeline]
    name: str
    environ: Mapping[str, str] = field(default_factory=dict)
    sandbox: str = ""  # the level of what it drives; empty: that of each run
    places: int = 4
    backoff_s: float = 1.0
    attendants: tuple[Callable[[str], Observer], ...] = ()
    effects: Callable[[str], AbstractContextManager[object]] = nullcontext
    remote: Callable[[Drive], Driving] | None = None  # for runs that another machine controls

    def drive(
        self,
        run: str,
        *,
        take_over: bool = False,
        listener: Callable[[Recorded], None] | None = None,
        stop: threading.Event | None = None,
        owned: Callable[[], None] = lambda: None,
    ) -> RunState:
        """Own the run, call `owned`, and go on until it is finished, waits for a human, or `stop` is set. Returns its
        state.
        Raises UsageError (no such run), Fenced, InfrastructureError (another process has it, and others)."""
        pipeline = self.pipeline_of(run)
        with self._owned(run, take_over=take_over) as fence:
            ledger = Ledger(self.state_of(run), pipeline, self.journal, self.world.clock, fence)
            if ledger.state.finished is not None:
                return ledger.state
            if ledger.next_effects():
                prepare()  # a run that waits for a person starts no program
            if listener is not None:
                ledger.listen(listener)
            owned()
            with self._attended(run) as attendants:
                for attendant in attendants:
                    ledger.listen(attendant.hear)
                world = replace(self.world, alone=partial(self._alone, ledger, threading.Lock()))
                self._engine(ledger, world, stop or threading.Event()).drive()
            return ledger.state

    def _engine(self, ledger: Ledger, world: World, stop: threading.Event) -> Driving:
        """The one that the run was started with. What this machine drives, it claims first."""
        context = self._context(ledger)
        if ledger.started.engine and self.remote is not None:
            return self.remote(Drive(ledger, world, context, stop, partial(self.journal.answers, ledger.run)))
        ledger.claim(self.name)
        return LocalEngine(ledger, world, context, self.places, stop)

    def attend(self, run: str) -> None:
        """Let the attendants do what a former driving of the run has left to them."""
        with self._attended(run):
            pass

    @contextmanager
    def _owned(self, run: str, *, take_over: bool) -> Iterator[int]:
        """The run's lock to the end, and the new fence: both change hands while nobody is in such an effect."""
        with ExitStack() as stack:
            held = None if take_over else stack.enter_context(self.lock(run))
            with self.effects(run):
                if held is not None:
                    held.check()
                fence = self.journal.take(run)
                if held is None:
                    stack.enter_context(self.seize(run))
            yield fence

    @contextmanager
    def _alone(self, ledger: Ledger, turn: threading.Lock) -> Iterator[None]:
        """Nobody takes the run meanwhile; `turn` is for the threads of this process. Raises Fenced."""
        with turn, self.effects(ledger.run):
            if not ledger.holds_fence():
                raise Fenced(f"run {ledger.run} is controlled by another process")
            yield

    @contextmanager
    def _attended(self, run: str) -> Iterator[list[Observer]]:
        with ExitStack() as stack:
            yield [stack.enter_context(closing(attendant(run))) for attendant in self.attendants]

    def _context(self, ledger: Ledger) -> Context:
        began = ledger.state.started_at
        given = (ledger.run, ledger.pipeline, ledger.started, began, self.environ)
        return Context(*given, backoff_s=self.backoff_s, sandbox=self.sandbox)
