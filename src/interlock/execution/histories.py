"""Histories of runs as far as this process has read them, so that nothing is decoded and folded twice.

Rule: the journal is asked for what is newer at every look; what is kept here can only save time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

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
        self._known: OrderedDict[str, History] = OrderedDict()
        self._lock = threading.Lock()

    def state(self, run: str) -> RunState:
        """The state now; of a run without events the empty one."""
        with self._lock:
            history = self._history(run)
            for page in self._journal.pages(run, history.state.seq):
                history.grow(page)
            return history.state

    def standing(self, pipeline: Pipeline, run: str, owner: str) -> RunSummary:
        """Raises ValueError for a run without events."""
        return locate(pipeline, self.state(run), owner)

    def view(self, pipeline: Pipeline, run: str, owner: str) -> RunView:
        """Raises ValueError for a run without events."""
        with self._lock:
            history = self._history(run)
            for page in self._journal.pages(run, history.seen):
                history.gather(page)
            return describe(pipeline, history, owner)

    def forget(self, run: str) -> None:
        """Read all of the run anew at the next look: what was read before may have been damaged since."""
        with self._lock:
            self._known.pop(run, None)

    def _history(self, run: str) -> History:
        history = self._known.pop(run, None) or History()
        self._known[run] = history
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return history
