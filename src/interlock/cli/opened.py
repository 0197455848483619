"""The application as a verb needs it, and the person in front of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from interlock.cli.streams import note, say
from interlock.core.text import plain
from interlock.ports import UsageError

if TYPE_CHECKING:
    from interlock.bootstrap import Application
    from interlock.core.views import RunSummary
    from interlock.settings import Settings

__all__ = ["application", "asks", "columns", "ended_politely", "note", "redraws", "say", "telling_unread"]


@contextmanager
def application(*, looks: bool = False) -> Iterator[Application]:
    """Everything wired for the repository around the current folder. Where it `looks` and nothing more, wrong settings
    are a warning. Raises UsageError outside of a repository, and of wrong settings."""
    from interlock.bootstrap import build  # late: `--help` of a verb needs nothing of it

    wired = build(_here(), os.environ, _settings(looks=looks))
    try:
        vanished = wired.service.has_vanished()
        if wired.notice and not vanished:
            note(f"note: {plain(wired.notice, 1000)}")
        if lost := wired.service.lost_and_missed():
            them = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
            note(f"warning: the journal has lost {len(lost)} of its runs ({them}): `interlock doctor` says more")
        yield wired
        if vanished:  # what looks for runs has ended with it as an error
            note(f"warning: before this, {plain(wired.service.vanished, 1000)}")
    finally:
        wired.close()


@contextmanager
def telling_unread() -> Iterator[Callable[[RunSummary], None]]:
    """What is to be called of each run that is passed over, since it cannot be read. Each reason is told once."""
    from interlock.cli.words import by_reason

    found: list[RunSummary] = []
    try:
        yield found.append
    finally:
        for them in by_reason(found):
            verb = "is" if len(them.runs) == 1 else "are"
            note(f"note: {them.which} {verb} {them.runs[0].phase}: {plain(them.runs[0].why, 400)}")


def redraws(stream: TextIO) -> bool:
    """Whether a view on `stream` may be redrawn in place."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int:
    """Of the terminal; 0 where there is none."""
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def asks() -> bool:
    """Whether there is a person at a terminal to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")


@contextmanager
def ended_politely() -> Iterator[None]:
    """A polite end (terminal closed, `kill`) is as Ctrl-C without a terminal: the run stays resumable. Who started us
    so that a closed terminal is nothing to us (`nohup`) is heeded; `kill` always works."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    polite = [signal.SIGTERM, *([] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP])]
    before = {number: signal.signal(number, interrupt) for number in polite}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settings(*, looks: bool) -> Settings:
    from interlock.settings import Settings, load_settings, paths_of

    try:
        return load_settings(paths_of(os.environ).config)
    except UsageError as error:
        if not looks:
            raise
        note(f"warning: {line}" for line in plain(str(error), 4000).splitlines())
        return Settings()


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder is gone: go to one that exists") from error
