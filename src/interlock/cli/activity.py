"""What an attempt that is at work printed last, for those who watch. Rule: it is never more than one harmless line."""

from __future__ import annotations

from interlock.agents.logs import readable
from interlock.agents.program import log_path
from interlock.bootstrap import Application
from interlock.core.ids import AttemptId
from interlock.core.text import ending

_TAIL_BYTES = 4_000
_LINE_MAX = 400


def activity(app: Application, run: str, attempt: AttemptId) -> str:
    """What the stage waits for, or what its attempt printed last."""
    waits = (held.words for held in app.held_up(run) if held.stage == attempt.stage)
    return next(waits, "") or last_line(app, run, attempt)


def last_line(app: Application, run: str, attempt: AttemptId) -> str:
    """Empty where it is not at work here, or printed nothing yet."""
    place = app.workspaces.place_of(run, attempt)
    if place is None:
        return ""
    try:
        with log_path(place).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            said = ending(readable(file.read().decode("utf-8", "replace")).encode(), _LINE_MAX)
    except OSError:
        return ""
    return said.rpartition("\n")[2].strip()
