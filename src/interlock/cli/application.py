"""The application for the repository around the current folder, with the warnings that every verb prints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.cli.terminal import note
from interlock.ports import UsageError
from interlock.text.cleaning import plain

if TYPE_CHECKING:
    from interlock.application import Application
    from interlock.readmodel.run import RunSummary
    from interlock.settings import Settings


@contextmanager
def application(*, looks: bool = False, sandbox: str | None = None) -> Iterator[Application]:
    """Everything wired. With `looks`, for a verb that changes nothing, wrong settings are only a warning. `sandbox` is
    the level for this process and those that it starts.
    Raises UsageError outside of a repository, and for wrong settings."""
    from interlock.application import SANDBOX  # lazy: `--help` of a verb does not need it
    from interlock.bootstrap import build  # lazy: `--help` of a verb does not need it

    environ = {**os.environ, SANDBOX: sandbox} if sandbox else os.environ
    wired = build(_current_folder(), environ, _settings(looks=looks))
    try:
        vanished = wired.service.has_vanished()
        if wired.notice and not vanished:
            note(f"note: {plain(wired.notice, 1000)}")
        if lost := wired.service.lost_and_missed():
            them = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
            note(f"warning: {len(lost)} runs are missing from the journal ({them}): `interlock doctor` says more")
        try:
            yield wired
        finally:
            if why := wired.service.unreached():
                note(f"note: {plain(why, 1000)}: what was known of its runs here is shown")
        if vanished:  # a verb that looks for runs has ended with this as its error
            note(f"warning: before this, {plain(wired.service.vanished, 1000)}")
    finally:
        wired.close()


def sandbox_for_checks(app: Application) -> str:
    """The level of gates that judge what the user has made. Says on stderr why they have no sandbox."""
    level, why = app.sandbox_for_checks()
    if why:
        note(f"note: gates and setup run without a sandbox, with your user's rights: {plain(why, 2000)}")
    return level


@contextmanager
def unreadable_runs_noted() -> Iterator[Callable[[RunSummary], None]]:
    """Gives a function to call with each run that is skipped because it cannot be read. At the end each reason is
    printed once."""
    from interlock.cli.words import by_reason

    found: list[RunSummary] = []
    try:
        yield found.append
    finally:
        for them in by_reason(found):
            verb = "is" if len(them.runs) == 1 else "are"
            note(f"note: {them.which} {verb} {them.runs[0].phase}: {plain(them.runs[0].why, 400)}")


def _settings(*, looks: bool) -> Settings:
    from interlock.settings import Settings, load_settings, paths_of

    try:
        return load_settings(paths_of(os.environ).config)
    except UsageError as error:
        if not looks:
            raise
        note(f"warning: {line}" for line in plain(str(error), 4000).splitlines())
        return Settings()


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder no longer exists: change to one that does") from error
