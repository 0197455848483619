"""Histories of runs as far as this process has read them, so that nothing is decoded and folded twice.

Rule: the engine is asked for what is newer at every look; what is kept here can only save time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from interlock.core.events import Recorded
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState
from interlock.readmodel.history import History
from interlock.readmodel.run import RunSummary, RunView, describe, locate

KEPT = 600  # runs, those looked at last: a list shows up to 500
PASTS_KEPT = 8  # of them with all their past


class Histories:
    """Share one per engine. Safe to use from several threads. `pipeline_of` gives the pipeline of the run, which never
    changes; it is called where nothing is kept."""

    def __init__(self, pages: Callable[[str, int], Iterable[list[Recorded]]]) -> None:
        """`pages` gives the events of a run after a seq, page by page."""
        self._pages = pages
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._with_past: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def state(self, run: str) -> RunState:
        """The state now; of a run without events the empty one."""
        with self._lock:
            history = self._of(run).history
            for page in self._pages(run, history.state.seq):
                history.grow(page)
            return history.state

    def gathered_state(self, run: str) -> RunState:
        """As `state`, where the view is asked for next: what is read now is not read again for the past."""
        with self._lock:
            return self._gathered(run).history.state

    def standing(self, pipeline_of: Callable[[], Pipeline], run: str, owner: str) -> RunSummary:
        """Raises ValueError for a run without events."""
        known = self._known.get(run)
        pipeline = pipeline_of() if known is None or known.standing is None else None
        state = self.state(run)
        kept = known.standing if known is not None else None
        if kept is None or (kept.seq, kept.owner) != (state.seq, owner):
            kept = locate(pipeline or pipeline_of(), state, owner)
            with self._lock:
                self._of(run).standing = kept
        return kept

    def view(self, pipeline_of: Callable[[], Pipeline], run: str, owner: str) -> RunView:
        """Made once for each newest event, however many look. Raises ValueError for a run without events."""
        known = self._known.get(run)
        pipeline = pipeline_of() if known is None or known.view is None else None
        while True:
            with self._lock:
                known = self._gathered(run)
                if known.view is not None and (known.view.seq, known.view.owner) == (known.history.seen, owner):
                    return known.view
                if pipeline is not None:
                    known.view = describe(pipeline, known.history, owner)
                    return known.view
            pipeline = pipeline_of()

    def forget(self, run: str) -> None:
        """Read all of the run anew at the next look: what was read before may have been damaged since."""
        with self._lock:
            self._known.pop(run, None)
            self._with_past.pop(run, None)

    def _gathered(self, run: str) -> _Known:
        known = self._of(run)
        self._with_past[run] = known
        self._with_past.move_to_end(run)
        while len(self._with_past) > PASTS_KEPT:
            _, oldest = self._with_past.popitem(last=False)
            oldest.forget_past()
        for page in self._pages(run, known.history.seen):
            known.history.gather(page)
        return known

    def _of(self, run: str) -> _Known:
        known = self._known.setdefault(run, _Known())
        self._known.move_to_end(run)
        while len(self._known) > KEPT:
            oldest, _ = self._known.popitem(last=False)
            self._with_past.pop(oldest, None)
        return known


@dataclass(slots=True)
class _Known:
    """A run: its history, and what was made of it last."""

    history: History = field(default_factory=History)
    standing: RunSummary | None = None
    view: RunView | None = None

    def forget_past(self) -> None:
        state, self.history, self.view = self.history.state, History(), None
        self.history.state = state
