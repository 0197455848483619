"""Wiring, by hand: from a folder and an environment to everything that a surface needs."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from interlock.execution.histories import Histories
from interlock.journal import FileBlobs, SetAsideRuns, SqliteJournal
from interlock.ports import Brief, Cancel, RecordStore, UsageError, World
from interlock.process import capture, detach, mounts
from interlock.readmodel.run import RunView
from interlock.sandbox import LEVELS, holds, require
from interlock.service import Service
from interlock.service.integrity import lost_journal
from interlock.settings import (
    Identity,
    NotifySettings,
    Paths,
    RepositoryPaths,
    RunLock,
    Settings,
    find_repository,
    identify,
    is_run_id,
    load_settings,
    new_run_id,
    one_effect,
    owner_of,
    paths_of,
    this_process,
)
from interlock.settings import Owner as Holder

if TYPE_CHECKING:  # loaded only when there is work: see _driver and the functions around it
    from interlock.engines.owner import Observer, Owner
    from interlock.gates.locks import Slot, Slots, WaitingWork
    from interlock.gates.referee import GateContext, Referee
    from interlock.notify import Channel, Notices, Undelivered
    from interlock.service.pull_requests import PullRequests
    from interlock.service.verification import Sources
    from interlock.signing import KeyFolder, PublicKeys
    from interlock.workspaces import GitWorkspaces

Made = TypeVar("Made")
_INTERLOCK = (sys.executable, "-P", "-m", "interlock")  # -P: nothing is imported from the repository

SANDBOX = "INTERLOCK_SANDBOX"
EFFECTS_WAIT_S = 30.0  # for a delivery or push of another process; if it takes longer, that is an error


class SystemClock:
    """Implements ports.Clock."""

    def now(self) -> float:
        return time.time()

    def elapsed(self) -> float:
        return time.monotonic()


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
    blobs: FileBlobs
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
        return _keys(paths_of(self.environ))

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

    def sandbox_for_checks(self) -> str:
        """The level of new runs where it holds, else `none`: a check judges what its user has made."""
        if self.sandbox == "none":
            return self.sandbox
        mounts.enter()
        return self.sandbox if holds(self.sandbox, self.environ) else "none"

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
        """Work of the run that waits for a slot, or for an exclusive gate."""
        from interlock.gates.locks import waiting_work

        return waiting_work(paths_of(self.environ).state / "slots", run)

    def person(self) -> str:
        """The person who answers, for the journal: the system's user, with the name and mail of git."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # no such user in this container
            user = f"uid {os.getuid()}"
        return f"{user} ({identity})" if (identity := self.workspaces.identity()) else user

    def sources(self, keys: PublicKeys | None = None) -> Sources:
        """What a run is verified by; with the keys of this machine if none are given."""
        from interlock.service.verification import Sources, branch_of

        return Sources(
            keys=keys if keys is not None else self.keys.public(),
            blobs=self.blobs,
            store=self.workspaces.stored_records,
            has=self.workspaces.has,
            pipeline_of=self.service.pipeline_of,
            records_of=self.service.history,
            read=self.workspaces.read,
            branch=partial(branch_of, self.repository, self.environ),
            merge=self.workspaces.merge,
        )

    def close(self) -> None:
        for workspaces in self._workspaces.made:
            workspaces.close()
        self.journal.close()


def build(cwd: Path, environ: Mapping[str, str], settings: Settings | None = None) -> Application:
    """With the user's settings if none are given. Raises UsageError (no repository, wrong settings) and
    InfrastructureError (the state folder cannot be used)."""
    top, common_dir = repository_of(cwd, environ)
    general = paths_of(environ)
    settings = settings or load_settings(general.config)
    identity = identify(general, common_dir)
    paths = identity.paths
    clock = SystemClock()
    journal, blobs, aside = SqliteJournal(paths.journal), FileBlobs(paths.blobs), SetAsideRuns(paths.aside)
    notice, gone = identity.notice, _vanished(identity)
    if not (identity.known and identity.recorded) and journal.runs():  # runs of an earlier version, or settled in part
        identity.settle()
        notice, gone = "", lost_journal(paths.root)
    histories = Histories(journal)
    workspaces = Once(partial(_workspaces, paths, top, environ))
    common = _Common(top, environ, general, paths, settings, journal, blobs, clock)
    gate_context = Once(lambda: _gate_context(common, workspaces()))
    service = Service(
        journal=journal,
        histories=histories,
        blobs=blobs,
        workspaces=workspaces,
        gates=Once(lambda: _referee(gate_context())),
        clock=clock,
        owner_of=partial(_owner, paths),
        new_run_id=lambda: new_run_id(clock.now(), secrets.token_bytes(8)),
        new_answer_id=lambda: secrets.token_hex(8),
        lost_runs=partial(_lost, journal, paths),
        vanished=gone,
        aside=aside.runs,
        ready=lambda: _keys(general).signer(),
        begun=identity.begin,
        settle=identity.settle,
    )
    notices = Once(lambda: _notices(common, service))
    owner = Once(lambda: _driver(common, service, gate_context(), notices(), workspaces().stored_records))
    pull_requests = Once(lambda: _pull_requests(common, service, workspaces, owner))
    return Application(
        top, paths, settings, service, journal, blobs, environ, workspaces, owner, notices, pull_requests, aside, notice
    )


@dataclass(frozen=True, slots=True)
class _Common:
    """What several parts need."""

    top: Path
    environ: Mapping[str, str]
    general: Paths
    paths: RepositoryPaths
    settings: Settings
    journal: SqliteJournal
    blobs: FileBlobs
    clock: SystemClock

    @property
    def backoff_s(self) -> float:
        return float(self.environ.get("INTERLOCK_BACKOFF_S", "1"))


def _workspaces(paths: RepositoryPaths, top: Path, environ: Mapping[str, str]) -> GitWorkspaces:
    from interlock.workspaces import GitWorkspaces

    return GitWorkspaces(paths.store, paths.places, top, environ, former=paths.former_places, own=paths.own)


def _gate_context(common: _Common, workspaces: GitWorkspaces) -> GateContext:
    from interlock.agents import adapters
    from interlock.agents.limits import DailyCap, with_daily_cap, with_slots
    from interlock.gates.ci_api import Outside
    from interlock.gates.held_out import HeldOut
    from interlock.gates.locks import Slots
    from interlock.gates.referee import GateContext

    settings, environ = common.settings, common.environ
    state = common.general.state
    cap = DailyCap(state / "spent", settings.daily_tokens, settings.daily_cost_usd, common.clock.now)
    slots = Slots(state / "slots", settings.slots, environ)
    agents = with_daily_cap(with_slots(adapters(environ, common.top), partial(_turn, slots)), cap)
    outside = Outside(settings.ci.endpoint, settings.ci.token, settings.ci.poll_s, settings.ci.grace_s)
    held_out = HeldOut(settings.held_out, environ, common.top)
    shared = (workspaces, common.blobs, common.journal, environ, common.paths.locks)
    return GateContext(*shared, slots, agents, outside, held_out=held_out)


def _turn(slots: Slots, brief: Brief, cancel: Cancel) -> AbstractContextManager[Slot]:
    from interlock.gates.locks import WaitingWork

    return slots.acquire(cancel, WaitingWork(brief.run, str(brief.attempt)))


def _referee(gate_context: GateContext) -> Referee:
    from interlock.gates.referee import Referee

    return Referee(gate_context)


def _notices(common: _Common, service: Service) -> Notices:
    from interlock.notify import Notices

    notify = common.settings.notify
    return Notices(
        channels=tuple(_channels(notify, common.general.config, common.environ)),
        events=frozenset(notify.events),
        attempts=notify.attempts,
        backoff_s=common.backoff_s,
        repository=str(common.top),
        journal=common.journal,
        clock=common.clock,
        locate=service.locate_run,
    )


def _driver(common: _Common, service: Service, gate_context: GateContext, notices: Notices, kept: RecordStore) -> Owner:
    from interlock.engines.owner import Owner
    from interlock.pipelinefile.templates import render
    from interlock.signing import SignedRecords

    holder = this_process()
    stores = (common.blobs, common.journal, common.clock)
    parts = (gate_context.workspaces, gate_context.agents, service.gates(), *stores, render, lambda: True)
    records = SignedRecords(_keys(common.general).signer(), common.blobs, kept)
    service.settle()
    return Owner(
        world=World(*parts, records=records),
        lock=partial(_lock, common.paths, holder),
        seize=partial(_lock, common.paths, holder, seize=True),
        state_of=service.histories.state,
        name=f"{holder.pid}@{holder.host}",
        environ=common.environ,
        sandbox=given_sandbox(common.environ),
        places=common.settings.max_parallel,
        backoff_s=common.backoff_s,
        attendants=tuple(_attendants(notices, service.describe_run, common.environ)),
        effects=partial(_effects, common, holder),
    )


def _pull_requests(
    common: _Common, service: Service, workspaces: Callable[[], GitWorkspaces], owner: Callable[[], Owner]
) -> PullRequests:
    from interlock.service.pull_requests import PullRequests

    return PullRequests(
        service=service,
        journal=common.journal,
        push=lambda commit, remote, branch: workspaces().propose(commit, remote, branch),
        lock=lambda run: owner().effects(run),
        repository=common.top,
        folder=common.paths.root / "pull-requests",
        environ=common.environ,
    )


def _keys(general: Paths) -> KeyFolder:
    from interlock.signing import KeyFolder

    return KeyFolder(general.keys)


def _vanished(identity: Identity) -> str:
    """What is wrong if there is no run; empty if there need not be any."""
    if identity.recorded:
        return lost_journal(identity.paths.root)
    return identity.notice if identity.lost else ""


def _lost(journal: SqliteJournal, paths: RepositoryPaths) -> list[str]:
    """Runs that the journal does not know, although they were recorded, have work in the store or were driven."""
    refs = paths.store / "refs/interlock"
    kept = [path.name for path in refs.iterdir()] if refs.is_dir() else []
    driven = [path.stem for path in paths.locks.glob("*.lock") if is_run_id(path.stem)]
    return journal.lost([*kept, *driven])


def _attendants(
    notices: Notices, view: Callable[[str], RunView], environ: Mapping[str, str]
) -> Iterator[Callable[[str], Observer]]:
    from interlock.telemetry import Telemetry, lacking, wanted

    if notices.channels:
        yield notices.attend
    if wanted(environ) and not lacking(environ):
        yield Telemetry(view).attend


def _channels(notify: NotifySettings, config: Path, environ: Mapping[str, str]) -> Iterator[Channel]:
    from interlock.notify import CommandChannel, Webhook

    if notify.webhook:
        yield Webhook(notify.webhook, notify.secret, environ, notify.timeout_s)
    if notify.command:
        secrets = (notify.secret,) if notify.secret else ()
        yield CommandChannel(notify.command, config, environ, notify.timeout_s, secrets)


def given_sandbox(environ: Mapping[str, str]) -> str:
    """The level that the variable INTERLOCK_SANDBOX names, as `--sandbox` does; empty if it is not set. Raises
    UsageError."""
    level = environ.get(SANDBOX, "")
    if level and level not in LEVELS:
        raise UsageError(
            f"{SANDBOX}={level}: there is no such level: expected {', '.join(LEVELS[:-1])} or {LEVELS[-1]}"
        )
    return level


def repository_of(cwd: Path, environ: Mapping[str, str]) -> tuple[Path, Path]:
    """The root of the working tree and the common git directory, absolute. Raises UsageError."""
    return find_repository(cwd, environ, partial(_check_version, environ))


def _check_version(environ: Mapping[str, str]) -> None:
    from interlock.workspaces import check_version  # lazy: a recent git is not asked for its version

    check_version(environ)


def _lock(paths: RepositoryPaths, holder: Holder, run: str, *, seize: bool = False) -> RunLock:
    return RunLock(paths.run_lock(run), holder, seize=seize)


def _effects(common: _Common, holder: Holder, run: str) -> AbstractContextManager[None]:
    wait_s = float(common.environ.get("INTERLOCK_EFFECTS_WAIT_S", EFFECTS_WAIT_S))
    return one_effect(common.paths.effects_lock(run), holder, wait_s)


def _owner(paths: RepositoryPaths, run: str) -> str:
    holder = owner_of(paths.run_lock(run))
    return str(holder) if holder else ""
