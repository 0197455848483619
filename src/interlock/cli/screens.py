"""Following a run through its journal, and the screens that show its events. Rule: a follower only reads."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol, TextIO

import click

from interlock.application import Application
from interlock.cli.lines import Story, StoryLine
from interlock.cli.terminal import is_interactive, note, redraws, say
from interlock.cli.words import nearly_used
from interlock.core.events import AttemptErrored, CandidateProduced, Recorded, VerdictGiven
from interlock.readmodel.run import RunSummary
from interlock.service import Service
from interlock.service.formats import event_line, line

if TYPE_CHECKING:
    from interlock.cli.asking import Asking
    from interlock.gates.locks import WaitingWork

POLL_S = 0.15
_PAID = (AttemptErrored, CandidateProduced, VerdictGiven)


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """`plain` never redraws; `json` prints NDJSON on stdout. `asked`: what the person was asked so far, by run."""

    plain: bool = False
    json: bool = False
    asked: dict[str, Asking] = field(default_factory=dict, compare=False)
    judged: tuple[VerdictGiven, ...] = ()  # before what is shown


class Screen(Protocol):
    """Shows events, from `with` to its end. `show` gets each batch, which may be empty."""

    def __enter__(self) -> Screen: ...

    def __exit__(self, *raised: object) -> None: ...

    def show(self, batch: Sequence[Recorded]) -> None: ...


def follow(
    service: Service, run: str, ended: Callable[[], bool], wait: Callable[[float], object], after: int = 0
) -> Iterator[Sequence[Recorded]]:
    """Batches of events beyond seq `after` as they come; a batch is empty if a poll finds nothing. The last batch is
    read after `ended()` was true, so that no event is missed."""
    while True:
        last = ended()
        batch = service.history(run, after)
        if batch:
            after = batch[-1].seq
        yield batch
        if last:
            return
        if not batch:
            wait(POLL_S)


def screen(app: Application, run: str, stream: TextIO, display: DisplayOptions) -> Screen:
    """NDJSON, a live view on a terminal, or one line for each transition."""
    service = app.service
    pipeline = service.pipeline_of(run)
    if display.json:
        return JsonScreen(run, partial(app.waiting_work, run))
    if display.plain or not redraws(stream):
        story = Story(pipeline, closes=True)
        for verdict in display.judged:
            story.saw(verdict)
        return LineScreen(story, stream, lambda: service.locate_run(run), partial(app.waiting_work, run))
    from interlock.cli.asking import Asking
    from interlock.cli.live import LiveScreen, activity  # lazy: rich is slow to import

    asking = display.asked.setdefault(run, Asking(app, run)) if is_interactive() else None
    return LiveScreen(pipeline, run, service, stream, partial(activity, app, run), asking)


class JsonScreen:
    """Events of the journal as NDJSON on stdout, and what waits for a slot, a name or a worker, when that changes."""

    def __init__(self, run: str, held_up: Callable[[], Sequence[WaitingWork]]) -> None:
        self._run, self._held_up = run, held_up
        self._held: list[WaitingWork] = []

    def __enter__(self) -> JsonScreen:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def show(self, batch: Sequence[Recorded]) -> None:
        for record in batch:
            say(event_line(self._run, record))
        now = sorted(self._held_up(), key=str)
        if now != self._held:
            say(line(run=self._run, kind="held_up", held_up=now))
        self._held = now


class LineScreen:
    """One line for each transition, for each limit that is nearly used, and for each thing that waits for a slot."""

    def __init__(
        self, story: Story, stream: TextIO, now: Callable[[], RunSummary], held_up: Callable[[], Sequence[WaitingWork]]
    ) -> None:
        self._story, self._write, self._now = story, note if stream is sys.stderr else say, now
        self._held_up = held_up
        self._near: set[str] = set()
        self._held: set[WaitingWork] = set()

    def __enter__(self) -> LineScreen:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def show(self, batch: Sequence[Recorded]) -> None:
        for record in batch:
            line = self._story.line(record)
            if line is not None:
                self._write(painted(line))
        if any(isinstance(record.event, _PAID) for record in batch):
            self._show_limits(batch[-1].at)
        now = set(self._held_up())
        for held in sorted(now - self._held, key=str):
            self._write(painted(StoryLine(time.time(), held.about, held.words)))
        self._held = now

    def _show_limits(self, at: float) -> None:
        view = self._now()
        near = [amount.name for amount in view.limits if amount.near]
        for name, words in zip(near, nearly_used(view), strict=True):
            if name not in self._near:
                self._write(painted(StoryLine(at, "", words, bad=True)))
        self._near.update(near)


def painted(line: StoryLine) -> str:
    """With colour, which click leaves out if the stream takes none."""
    tone = "red" if line.bad else "green" if line.good else None
    return click.style(str(line), fg=tone) if tone else str(line)
