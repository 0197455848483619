"""Following a run that somebody else drives."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from interlock.bootstrap import Application
from interlock.cli.asking import answered
from interlock.cli.driving import DisplayOptions, conclude
from interlock.cli.follow import follow, screen
from interlock.cli.words import OVER
from interlock.core.views import RunPhase

_ALONE_S = 3.0  # how long a run may be without an owner before it counts as left: one may be about to take it
_ANSWERED_S = 20.0  # as long as an answer lies in its inbox: somebody meant it to go on, and a busy machine is slow


@dataclass(slots=True)
class _Left:
    """Whether a run has come to rest: over, waiting for a person, or left by its owner."""

    app: Application
    run: str
    since: float = 0.0
    seen: int = -1

    def __call__(self) -> bool:
        if self.app.service.owner_of(self.run):
            self.since = 0.0
            return False
        view = self.app.service.locate_run(self.run)
        if view.phase in OVER or view.phase is RunPhase.WAITING:
            return True
        now = time.monotonic()
        if not self.since or view.seq != self.seen:
            self.since, self.seen = now, view.seq
        return now - self.since >= (_ANSWERED_S if self.app.service.has_answer(self.run) else _ALONE_S)


def watched(app: Application, run: str, manner: DisplayOptions) -> int:
    """Show all events of the run, then those to come. Returns the exit code."""
    after = 0
    while True:
        shown = screen(app, run, sys.stdout, plain=manner.plain, json=manner.json)
        with shown:
            for batch in follow(app.service, run, _Left(app, run), time.sleep, after):
                shown.show(batch)
                after = batch[-1].seq if batch else after
        code = conclude(app, run, manner)
        if manner.json or not answered(app, run):
            return code
        if not app.service.owner_of(run):
            app.go_on(run)
