"""The live view: redraws a run in place, and takes the keys that answer what waits.

Rule: the run is drawn from its view alone; output of an attempt is never more than one harmless line.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live

from interlock.agents.logs import readable
from interlock.agents.program import log_path
from interlock.application import Application
from interlock.cli.asking import Asking
from interlock.cli.keys import Keys
from interlock.cli.picture import Frame, Moment, picture
from interlock.core.events import Recorded
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline
from interlock.readmodel.run import RunView
from interlock.service import Service
from interlock.text.cleaning import ending

_FRESH_S = 0.3  # the view is redrawn so often if no event comes


class LiveScreen:
    """Redraws the run in place on `stream`; the last drawing stays. `asking`: a person can answer with keys."""

    def __init__(
        self,
        pipeline: Pipeline,
        run: str,
        service: Service,
        stream: TextIO,
        activity: Callable[[AttemptId], str],
        asking: Asking | None = None,
    ) -> None:
        self._pipeline, self._run, self._service, self._activity = pipeline, run, service, activity
        self._console = Console(file=stream, highlight=False, soft_wrap=False)
        self._asking = asking
        self._keys: Keys | None = None
        self._live: Live | None = None
        self._exits = ExitStack()
        self._drawn_at = 0.0
        self._asked = ""  # the question on the screen
        self._view: RunView | None = None
        self._size = self._console.size

    def __enter__(self) -> LiveScreen:
        if self._asking is not None:
            self._keys = self._exits.enter_context(Keys(sys.stdin))
        self._start()
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            self._stop()
        finally:
            self._keys = None
            self._exits.close()

    def show(self, batch: Sequence[Recorded]) -> None:
        if self._asking is not None:
            self._asking.hear(batch)
        now = time.time()
        if self._has_acted() or batch or now - self._drawn_at >= _FRESH_S:
            self._draw(now)

    def _has_acted(self) -> bool:
        """Whether keys changed what is to be drawn. What is typed before a question is drawn is dropped."""
        if self._keys is None or self._asking is None:
            return False
        typed, acted = self._keys.typed(), False
        for key in typed:
            if self._view is None or not self._asked or self._asking.question(self._view) != self._asked:
                break
            leaves = key.lower() in "rd" and not self._asking.is_confirming
            if leaves:
                self._stop()
            self._asking.press(key, self._view, self._keys)
            if leaves:
                self._start()
            acted = True
        return acted

    def _start(self) -> None:
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()
        self._draw(time.time())

    def _stop(self) -> None:
        if self._live is not None:
            self._draw(time.time(), last=True)
            self._live.stop()
            self._live = None

    def _clear(self) -> None:
        """The screen has another size: its lines are not where they were, so all of it is drawn anew."""
        if self._live is not None:
            self._live.stop()
        self._console.clear()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()

    def _draw(self, now: float, *, last: bool = False) -> None:
        self._drawn_at = now
        if self._live is None:
            return
        view = self._view = self._service.describe_run(self._run)
        asking = self._asking
        self._asked = asking.question(view) if asking is not None else ""
        width, height = size = self._console.size
        if size != self._size:
            self._clear()
            self._size = size
        if asking is not None and self._asked:
            asking.drawn = asking.mark(view)
        wait = asking.current(view) if asking is not None else None
        frame = Frame(
            width,
            height,
            self._asked,
            (wait.subject, wait.gate) if wait is not None else ("", ""),
            asking.said if asking is not None else "",
            last,
            asking.stat(wait) if asking is not None and wait is not None else (),
        )
        lines = picture(Moment(self._pipeline, view, now, self._activity), frame)
        self._live.update(Group(*lines), refresh=True)


# --- the newest output of an attempt --------------------------------------------------------------

_TAIL_BYTES = 4_000
_LINE_MAX = 400


def activity(app: Application, run: str, attempt: AttemptId) -> str:
    """The slot or lock that the stage waits for, or the newest output of its attempt."""
    waits = (held.words for held in app.waiting_work(run) if held.stage == attempt.stage)
    return next(waits, "") or last_line(app, run, attempt)


def last_line(app: Application, run: str, attempt: AttemptId) -> str:
    """Empty if the attempt is not at work here, or printed nothing yet."""
    checkout = app.workspaces.checkout_root(run, attempt)
    if checkout is None:
        return ""
    try:
        with log_path(checkout).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            text = ending(readable(file.read().decode("utf-8", "replace")).encode(), _LINE_MAX)
    except OSError:
        return ""
    return text.rpartition("\n")[2].strip()
