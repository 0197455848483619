"""Histories of runs as far as this process has read them, so that nothing is decoded and folded twice.

Rule: the journal is asked for what is newer at every look; what is kept here can only save time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState
from interlock.ports import Journal
from interlock.readmodel.history import History
from interlock.readmodel.run import RunSummary, RunView, describe, locate

KEPT = 8  # runs, those looked at last


class Histories:
    """Share one per journal. Safe to use from several threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def state(self, run: str) -> RunState:
        """The state now; of a run without events the empty one."""
        with self._lock:
            history = self._of(run).history
            for page in self._journal.pages(run, history.state.seq):
                history.grow(page)
            return history.state

    def standing(self, pipeline: Pipeline, run: str, owner: str) -> RunSummary:
        """Raises ValueError for a run without events."""
        return locate(pipeline, self.state(run), owner)

    def view(self, pipeline: Pipeline, run: str, owner: str) -> RunView:
        """Made once for each newest event, however many look. Raises ValueError for a run without events."""
        with self._lock:
            known = self._of(run)
            for page in self._journal.pages(run, known.history.seen):
                known.history.gather(page)
            seen = known.history.seen, owner, pipeline
            if known.view is None or known.seen != seen:
                known.view, known.seen = describe(pipeline, known.history, owner), seen
            return known.view

    def _of(self, run: str) -> _Known:
        known = self._known.pop(run, None) or _Known()
        self._known[run] = known
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return known


@dataclass(slots=True)
class _Known:
    """Of a run: its history, and its view as of `seen`: the newest event, the owner and the pipeline."""

    history: History = field(default_factory=History)
    view: RunView | None = None
    seen: tuple[int, str, Pipeline] | None = None
