"""Owning a run: the lock, the fence, then the loop. One process owns a run at a time.

Rule: the kernel frees the lock of a dead owner; the fence shuts out one that is stopped but not dead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from interlock.core.events import Recorded
from interlock.core.state import RunState
from interlock.engines.local import LocalEngine
from interlock.execution.context import Context
from interlock.execution.ledger import Ledger
from interlock.ports import UsageError, World
from interlock.process import prepare
from interlock.spec import decode_pipeline


@dataclass(frozen=True, slots=True)
class Owner:
    """Drives runs in this process. `lock` raises UsageError, naming the owner, where a run is taken.
    `state_of` reads the whole history; `name` is how this process signs (`pid@host`)."""

    world: World
    lock: Callable[[str], AbstractContextManager[object]]
    state_of: Callable[[str], RunState]
    name: str
    environ: Mapping[str, str] = field(default_factory=dict)
    places: int = 4
    backoff_s: float = 1.0

    def drive(
        self,
        run: str,
        *,
        take_over: bool = False,
        listener: Callable[[Recorded], None] | None = None,
        stop: threading.Event | None = None,
    ) -> RunState:
        """Own the run and go on until it is finished, waits for a human, or `stop` is set. Returns its state.
        Raises UsageError (another process has it, no such run), Fenced, InfrastructureError."""
        text = self.world.journal.recall("pipeline", run)
        if text is None:
            raise UsageError(f"no run {run} in this repository: `interlock list` shows those there are")
        prepare()
        with nullcontext() if take_over else self.lock(run):
            fence = self.world.journal.take(run)
            ledger = Ledger(self.state_of(run), decode_pipeline(text), self.world.journal, self.world.clock, fence)
            if ledger.state.finished is not None:
                return ledger.state
            if listener is not None:
                ledger.listen(listener)
            ledger.claim(self.name)
            engine = LocalEngine(ledger, self.world, self._context(ledger), self.places, stop or threading.Event())
            engine.drive()
            return ledger.state

    def _context(self, ledger: Ledger) -> Context:
        began = ledger.state.started_at
        return Context(ledger.run, ledger.pipeline, ledger.started, began, self.environ, backoff_s=self.backoff_s)
