"""Interlock for one repository: what every surface is given, and what several of them ask of it."""

from __future__ import annotations

import getpass
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from interlock.journal import FileBlobs, SetAsideRuns, SharedBlobs, SqliteJournal
from interlock.ports import UsageError
from interlock.process import capture, detach, mounts
from interlock.sandbox import LEVELS, missing, named_paths, require
from interlock.service import Service
from interlock.settings import Paths, RepositoryPaths, Settings, paths_of

if TYPE_CHECKING:  # loaded only when there is work
    from interlock.core.pipeline import Pipeline
    from interlock.engines.owner import Owner
    from interlock.gates.locks import WaitingWork
    from interlock.notify import Notices, Undelivered
    from interlock.service.pull_requests import PullRequests
    from interlock.service.verification import Sources
    from interlock.signing import KeyFolder, PublicKeys
    from interlock.workspaces import GitWorkspaces

Made = TypeVar("Made")
SANDBOX = "INTERLOCK_SANDBOX"
_INTERLOCK = (sys.executable, "-P", "-m", "interlock")  # -P: nothing is imported from the repository


class Once(Generic[Made]):
    """A value that is made when it is first needed. Threads may share it."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: tuple[Made, ...] = ()

    def __call__(self) -> Made:
        with self._lock:
            if not self._made:
                self._made = (self._make(),)
            return self._made[0]

    @property
    def made(self) -> tuple[Made, ...]:
        """The value, if it was made."""
        return self._made


@dataclass(frozen=True, slots=True)
class Application:
    """Interlock for one repository. `repository` is the root of the working tree; `close` ends its helper processes."""

    repository: Path
    paths: RepositoryPaths
    settings: Settings
    service: Service
    journal: SqliteJournal
    blobs: FileBlobs | SharedBlobs
    environ: Mapping[str, str]
    _workspaces: Once[GitWorkspaces]
    _owner: Once[Owner]
    _notices: Once[Notices]
    _pull_requests: Once[PullRequests]
    aside: SetAsideRuns
    notice: str = ""  # what a person should know about whose runs these are

    @property
    def workspaces(self) -> GitWorkspaces:
        return self._workspaces()

    @property
    def keys(self) -> KeyFolder:
        return keys_of(paths_of(self.environ))

    @property
    def owner(self) -> Owner:
        return self._owner()

    @property
    def notices(self) -> Notices:
        return self._notices()

    @property
    def pull_requests(self) -> PullRequests:
        return self._pull_requests()

    @property
    def state(self) -> Path:
        return self.paths.root

    @property
    def sandbox(self) -> str:
        """The level of new runs: that of the variable, of the settings, or `full`. Raises UsageError."""
        return given_sandbox(self.environ) or self.settings.sandbox or LEVELS[0]

    def require_sandbox(self, level: str = "") -> str:
        """`level`, or that of new runs. Raises UsageError if it does not hold here. Checkouts that this process makes
        from now on can be overlays."""
        level = given_sandbox(self.environ) or level or self.sandbox
        if level == "full":
            mounts.enter()
        require(level, self.environ)
        return level

    def require_reads(self, pipeline: Pipeline, level: str) -> None:
        """Raises InfrastructureError if a sandbox of this level cannot show what the pipeline names, naming all."""
        if level != "none":
            named_paths(pipeline.sandbox.read)

    def sandbox_for_checks(self) -> tuple[str, str]:
        """The level of new runs where it holds, else `none`, and why: a check judges what its user has made."""
        if self.sandbox == "none":
            return self.sandbox, ""
        mounts.enter()
        why = missing(self.sandbox, self.environ)
        return "none" if why else self.sandbox, why

    def sandbox_for_reruns(self) -> str:
        """The level that this process was given, if any. Checkouts that it makes from now on can be overlays."""
        level = given_sandbox(self.environ)
        if level != "none":
            mounts.enter()
        return level

    def drive_in_background(self, run: str, *, take_over: bool = False) -> Path:
        """Start another process that drives the run and outlives this one. Returns its log file."""
        log = self.state / "logs" / f"{run}.log"
        words = ("resume", run, "--plain", *(["--take-over"] if take_over else []))
        detach((*_INTERLOCK, *words), self.environ, log, cwd=self.repository)
        return log

    def start_in_background(self, task: str, pipeline: str, inputs: Mapping[str, str]) -> str:
        """Start another process that starts a run and drives it, as `interlock run --detach`. Returns the run's id.
        Raises UsageError with the output of the process if it started none."""
        words = ["run", "--detach", "--json", "--task-file=-", f"--pipeline={pipeline}"]
        words += [f"--input={name}={value}" for name, value in inputs.items()]
        if any("\0" in word for word in words):
            raise UsageError("an input contains a NUL character: use text")
        done = capture((*_INTERLOCK, *words), cwd=self.repository, env=self.environ, stdin=task.encode(), timeout_s=120)
        output = (done.err + done.out).decode("utf-8", "replace").strip()
        started = re.search(r"^run (\S+)$", output, re.MULTILINE)
        if done.code != 0 or started is None:
            raise UsageError(output.removeprefix("error: ") or "the run did not start, and printed no reason")
        return started[1]

    def undelivered(self, run: str) -> tuple[Undelivered, ...]:
        """Notifications of the run that were not delivered."""
        wanted = self.settings.notify.webhook or self.settings.notify.command
        return self.notices.undelivered(run) if wanted else ()

    def waiting_work(self, run: str) -> tuple[WaitingWork, ...]:
        """Work of the run that waits: for a slot, an exclusive gate, or a worker."""
        from interlock.gates.locks import WaitingWork, waiting_work

        there = (WaitingWork(run, *words) for words in self.service.engine.waits(run))
        return (*waiting_work(paths_of(self.environ).state / "slots", run), *there)

    def person(self) -> str:
        """The person who answers, for the journal: the system's user, with the name and mail of git."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # no such user in this container
            user = f"uid {os.getuid()}"
        return f"{user} ({identity})" if (identity := self.workspaces.identity()) else user

    def sources(self, keys: PublicKeys | None = None) -> Sources:
        """What a run is verified by; with the keys of this machine if none are given."""
        from interlock.service.verification import Sources, branch_of, tip_of

        return Sources(
            keys=keys if keys is not None else self.keys.public(),
            blobs=self.blobs,
            store=self.workspaces.stored_records,
            has=self.workspaces.has,
            pipeline_of=self.service.pipeline_of,
            records_of=self.service.history,
            read=self.workspaces.read,
            branch=partial(branch_of, self.repository, self.environ),
            tip=partial(tip_of, self.repository, self.environ),
            merge=self.workspaces.merge,
        )

    def close(self) -> None:
        for workspaces in self._workspaces.made:
            workspaces.close()
        self.journal.close()


def given_sandbox(environ: Mapping[str, str]) -> str:
    """The level that the variable INTERLOCK_SANDBOX names, as `--sandbox` does; empty if it is not set. Raises
    UsageError."""
    level = environ.get(SANDBOX, "")
    if level and level not in LEVELS:
        raise UsageError(
            f"{SANDBOX}={level}: there is no such level: expected {', '.join(LEVELS[:-1])} or {LEVELS[-1]}"
        )
    return level


def keys_of(general: Paths) -> KeyFolder:
    from interlock.signing import KeyFolder

    return KeyFolder(general.keys)
