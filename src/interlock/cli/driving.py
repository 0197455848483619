"""Driving a run in this process while showing it, and what an interrupt means meanwhile.

The engine works on a thread; the main thread follows the journal, so that all who watch see the same.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import click

from interlock.bootstrap import Application
from interlock.cli.exits import Exit, of_phase
from interlock.cli.follow import Screen, follow, screen
from interlock.cli.terminal import confirm, is_interactive, note, prompt, say, signals_as_interrupt, without_reader
from interlock.cli.words import OVER, closing, lasted, not_looked_in, uncancelled
from interlock.core.events import Action, OwnerChanged
from interlock.core.history import AttemptPhase
from interlock.service import AnswerRequest
from interlock.service.jsons import line
from interlock.telemetry import lacking

_DETACH_S = 20.0
_POLL_S = 0.05
_WISHES = {"d": "detach", "detach": "detach", "s": "stop", "stop": "stop", "k": "", "keep": "", "keep going": ""}
_QUESTION = (
    "[d]etach: go on in the background, [s]top: resume later (or Ctrl-C), [k]eep going, or cancel: end it for good"
)


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """How to show: `plain` never redraws, `json` gives NDJSON on stdout."""

    plain: bool = False
    json: bool = False


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
                self.run, take_over=self.take_over, listener=lambda _: self.moved.set(), stop=self.stop
            )
        except BaseException as error:  # noqa: BLE001 - raised again on the main thread
            self.error = error
        finally:
            self.done.set()
            self.moved.set()

    def wait(self, seconds: float) -> None:
        self.moved.wait(seconds)
        self.moved.clear()


def drive(app: Application, run: str, manner: DisplayOptions, *, take_over: bool = False, after: int = 0) -> int:
    """Own the run, show events beyond seq `after`, and say how it ended. Returns the exit code."""
    note(f"warning: {word}" for word in (lacking(app.environ), not_looked_in(app.environ)) if word)
    with signals_as_interrupt():
        wish = _driven(app, run, manner, take_over=take_over, after=after)
    if wish and app.service.locate_run(run).phase in OVER:
        note(f"run {run} came to its end meanwhile")
        wish = ""
    match wish:
        case "detach":
            return detached(app, run, manner)
        case "cancel":
            view = app.service.describe_run(run)
            app.service.answer(view, AnswerRequest(Action.CANCEL, app.person()))
            with signals_as_interrupt():
                _driven(app, run, manner, after=view.seq)
            return told_uncancelled(app, run, conclude(app, run, manner))
        case "stop":
            conclude(app, run, manner)
            return Exit.INTERRUPTED
        case _:
            return finish(app, run, manner)


def finish(app: Application, run: str, manner: DisplayOptions) -> int:
    """As `conclude`, of a run that came to its own end here: what is still to be done with it is done first."""
    from interlock.cli.asking import answered
    from interlock.cli.proposing import propose

    proposal = propose(app, run)
    seen = app.service.locate_run(run).seq
    code = conclude(app, run, manner)
    if proposal is not None and not proposal.url:
        note(proposal.lines())
    if not manner.json and answered(app, run):
        return drive(app, run, manner, after=seen)
    return code


def conclude(app: Application, run: str, manner: DisplayOptions) -> int:
    """Say how the run stands and the exact next command. Returns the exit code."""
    from interlock.cli.proposing import proposed

    view = app.service.locate_run(run)
    url = proposed(app, run)
    with without_reader():
        if manner.json:
            told = {"phase": view.phase, "branch": view.branch, "commit": view.commit, "waits": view.waits}
            say(line(run=run, kind="outcome", **told, **({"pull_request": url} if url else {})))
        else:
            say([*closing(view), *([f"pull request: {url}"] if url else [])])
    return of_phase(view.phase)


def told_uncancelled(app: Application, run: str, code: int) -> int:
    """Say what came before a cancel, where it came too late. Returns the exit code, `code` where it did not."""
    if why := uncancelled(app.service.locate_run(run)):
        note(f"error: run {run} was not cancelled: {why}")
        return Exit.USAGE
    return code


def detached(app: Application, run: str, manner: DisplayOptions, *, take_over: bool = False) -> int:
    """Have another process drive the run, one that outlives this one. Returns the exit code."""
    seen = app.service.locate_run(run).seq
    log = app.go_on(run, take_over=take_over)
    if not _taken(app, run, seen, take_over=take_over):
        note(f"error: nobody took run {run} within {_DETACH_S:g} s: see {log}")
        return Exit.INFRASTRUCTURE
    if manner.json:
        say(line(run=run, kind="detached", log=str(log)))
    else:
        say(f"run {run} goes on in the background\nnext: interlock watch {run}")
    return Exit.ACCEPTED


def _taken(app: Application, run: str, seen: int, *, take_over: bool) -> bool:
    """Whether the run got an owner (another one than it has), or moved so fast that it needs none any more."""
    pause = threading.Event()
    for _ in range(int(_DETACH_S / 0.1)):
        events = [record.event for record in app.service.history(run, seen)]
        if any(isinstance(event, OwnerChanged) for event in events):
            return True
        if not take_over and (events or app.service.owner_of(run)):
            return True
        pause.wait(0.1)
    return False


def _driven(app: Application, run: str, manner: DisplayOptions, *, take_over: bool = False, after: int = 0) -> str:
    """What the person at the terminal wishes: empty where the engine came to its own end."""
    work = _Drive(app, run, take_over)
    thread = threading.Thread(target=work.work, name="drive")
    view = screen(app, run, sys.stderr, plain=manner.plain, json=manner.json)
    thread.start()
    wish = ""
    try:
        work.moved.wait()  # it owns the run, or was refused: nobody is shown what another one does
        while not wish and work.error is None:
            after = _shown(app, work, view, after)
            if work.done.is_set():
                break
            wish = _asked(app, run)
    except KeyboardInterrupt:  # a second one, before there was a question
        wish = "stop"
    finally:
        _end(work)
        thread.join()
    if work.error is not None:
        raise work.error
    return wish


def _end(work: _Drive) -> None:
    """Once a stop is under way, more interrupts change nothing. `Thread.join` is no place to wait for it: where that is
    interrupted, the thread is taken for ended (before Python 3.13)."""
    told = again = False
    while not work.done.is_set():
        try:
            work.stop.set()
            if again and not told:
                told = True
                note("it is being stopped: what is at work is ended first")
            time.sleep(_POLL_S)  # no lock is held, which an interrupt could leave so
        except KeyboardInterrupt:
            again = True


def _shown(app: Application, work: _Drive, view: Screen, after: int) -> int:
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


def _asked(app: Application, run: str) -> str:
    """What Ctrl-C means: on a terminal the person says, and a second one stops; elsewhere the run stops. A stopped run
    can be resumed: it ends for good by the whole word alone, confirmed."""
    if not is_interactive():
        return "stop"
    note(["", *_at_stake(app, run)])
    try:
        while True:
            word = prompt(_QUESTION, "s").lower()
            if word in _WISHES:
                return _WISHES[word]
            if word != "cancel":
                note("say one of the letters in brackets, or the whole word cancel")
            elif confirm(f"end run {run} for good, with no branch delivered?"):
                return "cancel"
            else:
                note("it is not cancelled")
    except click.Abort:  # a second Ctrl-C, or the end of the input
        return "stop"


def _at_stake(app: Application, run: str) -> Iterator[str]:
    """The attempts at work: whoever goes on with the run begins them anew."""
    view = app.service.describe_run(run)
    working = [each for stage in view.stages for each in stage.attempts if each.phase is AttemptPhase.WORKING]
    if working:
        now = app.service.clock.now()
        names = ", ".join(f"{each.id} ({lasted(now - each.started_at)})" for each in working)
        yield f"at work: {names}; detach and stop end that, and it begins anew when the run goes on"
