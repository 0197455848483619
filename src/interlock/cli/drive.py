"""Showing a run to its end: one that this process drives, and what Ctrl-C means meanwhile; or one that another process
drives.

The engine works on a thread; the main thread follows the journal, so that everybody who watches sees the same.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

from interlock.application import Application
from interlock.cli.exits import Exit, of_phase
from interlock.cli.screens import DisplayOptions, Screen, follow, screen
from interlock.cli.terminal import (
    columns,
    confirm,
    is_interactive,
    note,
    prompt,
    say,
    signals_as_interrupt,
    without_reader,
)
from interlock.cli.words import closing, path_warning, uncancelled, wrapped
from interlock.core.events import Action, OwnerChanged
from interlock.readmodel.history import AttemptPhase
from interlock.readmodel.run import OVER, RunPhase
from interlock.service import AnswerRequest
from interlock.service.formats import duration, line
from interlock.telemetry import lacking

_DETACH_S = 20.0
_POLL_S = 0.05
_CHOICES = {"d": "detach", "detach": "detach", "s": "stop", "stop": "stop", "k": "", "keep": "", "keep going": ""}
_QUESTION = (
    "[d]etach: continue in the background, [s]top: resume later (or Ctrl-C), [k]eep going, or cancel: end it for good"
)
_NO_OWNER_S = 3.0  # a run without an owner for so long has been left; before that a new owner may be starting
_ANSWERED_S = 20.0  # the same while an answer is in the inbox: an owner is expected, and a busy machine is slow


# --- a run that this process drives ---------------------------------------------------------------


@dataclass(slots=True)
class _Drive:
    """The engine on its thread."""

    app: Application
    run: str
    take_over: bool
    stop: threading.Event = field(default_factory=threading.Event)
    moved: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def work(self) -> None:
        try:
            self.app.owner.drive(
                self.run,
                take_over=self.take_over,
                listener=lambda _: self.moved.set(),
                stop=self.stop,
                owned=self.moved.set,
            )
        except BaseException as error:  # noqa: BLE001 - raised again on the main thread
            self.error = error
        finally:
            self.done.set()
            self.moved.set()

    def wait(self, seconds: float) -> None:
        self.moved.wait(seconds)
        self.moved.clear()


def drive(app: Application, run: str, display: DisplayOptions, *, take_over: bool = False, after: int = 0) -> int:
    """Own the run, show its events beyond seq `after`, and print how it ended. Returns the exit code. Raises
    UsageError if the level of its sandbox does not hold here."""
    found = app.service.locate_run(run)
    if not found.engine:  # what works for it elsewhere is confined there
        app.require_sandbox(found.sandbox)
    note(f"warning: {word}" for word in (lacking(app.environ), path_warning(app.environ)) if word)
    with signals_as_interrupt():
        choice = _drive_shown(app, run, display, take_over=take_over, after=after)
    if choice and app.service.locate_run(run).phase in OVER:
        note(f"run {run} has ended meanwhile")
        choice = ""
    match choice:
        case "detach":
            return drive_detached(app, run, display)
        case "cancel":
            view = app.service.describe_run(run)
            app.service.answer(view, AnswerRequest(Action.CANCEL, app.person()))
            with signals_as_interrupt():
                _drive_shown(app, run, display, after=view.seq)
            return report_uncancelled(app, run, conclude(app, run, display))
        case "stop":
            conclude(app, run, display)
            return Exit.INTERRUPTED
        case _:
            return finish(app, run, display)


def finish(app: Application, run: str, display: DisplayOptions) -> int:
    """`conclude` for a run that has ended or waits: before that its pull request is opened, after it the person is
    asked about a pending approval."""
    from interlock.cli.answers import ask_approval

    opened = app.pull_requests.open(run)
    seen = app.service.locate_run(run).seq
    code = conclude(app, run, display)
    if opened is not None and not opened.url:
        note([f"no pull request was opened: {opened.why}", f"  {opened.command}"])
    if display.json or not ask_approval(app, run, display.asked):
        return code
    if app.service.needs_driver(run):
        return drive(app, run, display, after=seen)
    return watch_run(app, run, display, after=seen)  # somebody else answered, or drives it


def conclude(app: Application, run: str, display: DisplayOptions) -> int:
    """Print where the run is, and the exact next command. Returns the exit code."""
    view = app.service.locate_run(run)
    url = app.pull_requests.url(run)
    with without_reader():
        if display.json:
            outcome = {"phase": view.phase, "branch": view.branch, "commit": view.commit, "waits": view.waits}
            say(line(run=run, kind="outcome", **outcome, **({"pull_request": url} if url else {})))
        else:
            say([*wrapped(closing(view), columns(sys.stdout)), *([f"pull request: {url}"] if url else [])])
    return of_phase(view.phase)


def report_uncancelled(app: Application, run: str, code: int) -> int:
    """Print why a cancel came too late, if it did. Returns the exit code: `code` if it did not."""
    if why := uncancelled(app.service.locate_run(run)):
        note(f"error: run {run} was not cancelled: {why}")
        return Exit.USAGE
    return code


def drive_detached(app: Application, run: str, display: DisplayOptions, *, take_over: bool = False) -> int:
    """Start another process that drives the run and outlives this one. Returns the exit code."""
    seen = app.service.locate_run(run).seq
    log = app.drive_in_background(run, take_over=take_over)
    if not _has_new_owner(app, run, seen, take_over=take_over):
        note(f"error: no process took run {run} within {_DETACH_S:g} s: see {log}")
        return Exit.INFRASTRUCTURE
    if display.json:
        say(line(run=run, kind="detached", log=str(log)))
    else:
        say(f"run {run} continues in the background\nnext: interlock watch {run}")
    return Exit.ACCEPTED


def _has_new_owner(app: Application, run: str, seen: int, *, take_over: bool) -> bool:
    """Whether the run gets an owner (another one than it has), or ends so fast that it needs none any more."""
    pause = threading.Event()
    for _ in range(int(_DETACH_S / 0.1)):
        events = [record.event for record in app.service.history(run, seen)]
        if any(isinstance(event, OwnerChanged) for event in events):
            return True
        if not take_over and (events or app.service.follower_of(run)):
            return True
        pause.wait(0.1)
    return False


def _drive_shown(
    app: Application, run: str, display: DisplayOptions, *, take_over: bool = False, after: int = 0
) -> str:
    """What the person at the terminal chooses after Ctrl-C; empty if the engine came to its own end."""
    work = _Drive(app, run, take_over)
    thread = threading.Thread(target=work.work, name="drive")
    view = screen(app, run, sys.stderr, display)
    thread.start()
    choice = ""
    try:
        work.moved.wait()  # until it owns the run, or was refused: another owner's work is not shown
        while not choice and work.error is None:
            after = _show_events(app, work, view, after)
            if work.done.is_set():
                break
            choice = _ask_after_interrupt(app, run)
    except KeyboardInterrupt:  # a second one, before the question
        choice = "stop"
    finally:
        _stop(work)
        thread.join()
    if work.error is not None:
        raise work.error
    return choice


def _stop(work: _Drive) -> None:
    """Stop the engine and wait for it; further interrupts change nothing. It does not wait in `Thread.join`: before
    Python 3.13 an interrupted join takes the thread for ended."""
    reported = again = False
    while not work.done.is_set():
        try:
            work.stop.set()
            if again and not reported:
                reported = True
                note("stopping the run: its running work is ended first")
            time.sleep(_POLL_S)  # holds no lock that an interrupt could leave locked
        except KeyboardInterrupt:
            again = True


def _show_events(app: Application, work: _Drive, view: Screen, after: int) -> int:
    """Show events until the engine ends or somebody interrupts. Returns the newest seq shown."""
    with view:
        try:
            for batch in follow(app.service, work.run, work.done.is_set, work.wait, after):
                with without_reader():
                    view.show(batch)
                after = batch[-1].seq if batch else after
        except KeyboardInterrupt:
            pass
    return after


def _ask_after_interrupt(app: Application, run: str) -> str:
    """What Ctrl-C means: on a terminal the person chooses, and a second Ctrl-C stops; elsewhere the run stops. A
    stopped run can be resumed; it is cancelled only by the whole word, confirmed. What a server drives continues."""
    if not is_interactive() or app.service.locate_run(run).engine:
        return "stop"
    note(["", *_at_stake(app, run)])
    try:
        while True:
            word = prompt(_QUESTION, "s").lower()
            if word in _CHOICES:
                return _CHOICES[word]
            if word != "cancel":
                note("type one of the letters in brackets, or the whole word cancel")
            elif confirm(f"end run {run} for good, without delivering a branch?"):
                return "cancel"
            else:
                note("the run is not cancelled")
    except click.Abort:  # a second Ctrl-C, or the end of the input
        return "stop"


def _at_stake(app: Application, run: str) -> Iterator[str]:
    """The attempts at work: they begin anew when the run is resumed."""
    view = app.service.describe_run(run)
    working = [each for stage in view.stages for each in stage.attempts if each.phase is AttemptPhase.WORKING]
    if working:
        now = app.service.clock.now()
        names = ", ".join(f"{each.id} ({duration(now - each.started_at)})" for each in working)
        yield f"running: {names}; detach and stop end it, and it starts again when the run continues"


# --- a run that another process drives ------------------------------------------------------------


@dataclass(slots=True)
class _AtRest:
    """Whether a run is over, waits for a person, or has no owner any more."""

    app: Application
    run: str
    since: float = 0.0
    seen: int = -1

    def __call__(self) -> bool:
        view = self.app.service.locate_run(self.run)
        rests = view.phase in OVER or view.phase is RunPhase.WAITING
        if rests and view.engine:
            return True  # whoever delivers for the repository stays, for other runs
        if self.app.service.follower_of(self.run):
            self.since = 0.0
            return False
        if rests:
            return True
        if view.is_remote and view.phase is not RunPhase.INTERRUPTED and not view.behind:
            return False
        now = time.monotonic()
        if not self.since or view.seq != self.seen:
            self.since, self.seen = now, view.seq
        return now - self.since >= (_ANSWERED_S if self.app.service.has_answer(self.run) else _NO_OWNER_S)


def watch_run(app: Application, run: str, display: DisplayOptions, *, after: int = 0) -> int:
    """Show the events of the run beyond seq `after`, then new ones as they come. Returns the exit code."""
    from interlock.cli.answers import ask_approval

    while True:
        view = screen(app, run, sys.stdout, display)
        with view:
            for batch in follow(app.service, run, _AtRest(app, run), time.sleep, after):
                view.show(batch)
                after = batch[-1].seq if batch else after
        code = conclude(app, run, display)
        if display.json or not ask_approval(app, run, display.asked):
            return code
        if app.service.needs_driver(run):
            app.drive_in_background(run)


@contextmanager
def following(app: Application, run: str) -> Iterator[None]:
    """Meanwhile this process follows a run that a server drives, if no other one does: so its branch is made here."""
    view = app.service.locate_run(run)
    if not view.engine or view.phase in OVER or app.service.follower_of(run):
        yield
        return
    work = _Drive(app, run, take_over=False)
    thread = threading.Thread(target=work.work, name="follow")
    thread.start()
    try:
        yield
    finally:
        work.stop.set()
        thread.join()
