"""Wiring, by hand: from a folder and an environment to everything a surface needs."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from interlock.core.views import RunView
from interlock.execution.histories import Histories
from interlock.journal import FileBlobs, SetAsideRuns, SqliteJournal
from interlock.ports import Brief, Cancel, InfrastructureError, UsageError, World
from interlock.process import capture, detach, scrubbed
from interlock.service import Service
from interlock.service.integrity import lost_journal
from interlock.settings import (
    Identity,
    NotifySettings,
    Owned,
    Paths,
    RepositoryPaths,
    RunLock,
    Settings,
    identify,
    is_run_id,
    load_settings,
    new_run_id,
    owner_of,
    paths_of,
)
from interlock.settings import Owner as Holder

if TYPE_CHECKING:  # what does work is loaded where there is some: see _driver and its neighbours
    from interlock.engines.owner import Observer, Owner
    from interlock.gates.context import GateContext
    from interlock.gates.locks import Slot, Slots, WaitingWork
    from interlock.gates.referee import Referee
    from interlock.notify import Channel, Notices, Undelivered
    from interlock.service.pull_requests import PullRequests
    from interlock.workspaces import GitWorkspaces

Made = TypeVar("Made")
_INTERLOCK = (sys.executable, "-P", "-m", "interlock")  # never what lies in the repository

EFFECTS_WAIT_S = 30.0  # for another one's delivery or push; a long push may take longer, and then says so


class SystemClock:
    """Implements ports.Clock."""

    def now(self) -> float:
        return time.time()

    def elapsed(self) -> float:
        return time.monotonic()


class Once(Generic[Made]):
    """What is made where it is first asked for. Threads may share it."""

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
        """It, where it was asked for."""
        return self._made


@dataclass(frozen=True, slots=True)
class Application:
    """One repository's Interlock. `repository` is the root of the working tree; `close` ends its helpers."""

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
    notice: str = ""  # what a person should know of whose runs these are

    @property
    def workspaces(self) -> GitWorkspaces:
        return self._workspaces()

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

    def go_on(self, run: str, *, take_over: bool = False) -> Path:
        """Have another process drive the run, one that outlives this one. Returns where it writes what it says."""
        log = self.state / "logs" / f"{run}.log"
        words = ("resume", run, "--plain", *(["--take-over"] if take_over else []))
        detach((*_INTERLOCK, *words), self.environ, log, cwd=self.repository)
        return log

    def begin(self, task: str, pipeline: str, inputs: Mapping[str, str]) -> str:
        """Have another process start a run and drive it, as `interlock run --detach`. Returns the run's id.
        Raises UsageError with what it said where there is none."""
        words = ["run", "--detach", "--json", "--task-file=-", f"--pipeline={pipeline}"]
        words += [f"--input={name}={value}" for name, value in inputs.items()]
        done = capture((*_INTERLOCK, *words), cwd=self.repository, env=self.environ, stdin=task.encode(), timeout_s=120)
        said = (done.err + done.out).decode("utf-8", "replace").strip()
        started = re.search(r"^run (\S+)$", said, re.MULTILINE)
        if done.code != 0 or started is None:
            raise UsageError(said.removeprefix("error: ") or "the run did not start, and nothing was said")
        return started[1]

    def untold(self, run: str) -> tuple[Undelivered, ...]:
        """Who should have been told of the run and was not."""
        wanted = self.settings.notify.webhook or self.settings.notify.command
        return self.notices.undelivered(run) if wanted else ()

    def held_up(self, run: str) -> tuple[WaitingWork, ...]:
        """What of the run waits for a slot, or for a gate that is alone with something."""
        from interlock.gates.locks import waiting_work

        return waiting_work(paths_of(self.environ).state / "slots", run)

    def person(self) -> str:
        """Who answers, as the journal is told: the system's user, and who that is to git."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # no such user in this container
            user = f"uid {os.getuid()}"
        return f"{user} ({identity})" if (identity := self.workspaces.identity()) else user

    def close(self) -> None:
        for workspaces in self._workspaces.made:
            workspaces.close()
        self.journal.close()


def build(cwd: Path, environ: Mapping[str, str], settings: Settings | None = None) -> Application:
    """With the user's settings, where none are given. Raises UsageError (no repository, wrong settings),
    InfrastructureError (state folder not to be had)."""
    top, common_dir = repository_of(cwd, environ)
    general = paths_of(environ)
    settings = settings or load_settings(general.config)
    identity = identify(general, common_dir)
    paths = identity.paths
    clock = SystemClock()
    journal, blobs, aside = SqliteJournal(paths.journal), FileBlobs(paths.blobs), SetAsideRuns(paths.aside)
    notice, gone = identity.notice, _vanished(identity)
    if not (identity.known and identity.recorded) and journal.runs():  # of an earlier version, or settled in part
        identity.settle()
        notice, gone = "", lost_journal(paths.root)
    histories = Histories(journal)
    workspaces = Once(partial(_workspaces, paths, top, environ))
    ground = _Ground(top, environ, general, paths, settings, journal, blobs, clock)
    bench = Once(lambda: _bench(ground, workspaces()))
    service = Service(
        journal=journal,
        histories=histories,
        blobs=blobs,
        workspaces=workspaces,
        gates=Once(lambda: _referee(bench())),
        clock=clock,
        owner_of=partial(_owner, paths),
        new_run_id=lambda: new_run_id(clock.now(), secrets.token_bytes(8)),
        new_answer_id=lambda: secrets.token_hex(8),
        lost_runs=partial(_lost, journal, paths),
        vanished=gone,
        aside=aside.runs,
        begun=identity.begin,
        settle=identity.settle,
    )
    notices = Once(lambda: _notices(ground, service))
    owner = Once(lambda: _driver(ground, service, bench(), notices()))
    pull_requests = Once(lambda: _pull_requests(ground, service, workspaces, owner))
    return Application(
        top, paths, settings, service, journal, blobs, environ, workspaces, owner, notices, pull_requests, aside, notice
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all parts stand on."""

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

    return GitWorkspaces(paths.store, paths.places, top, environ, former=paths.former_places)


def _bench(ground: _Ground, workspaces: GitWorkspaces) -> GateContext:
    from interlock.agents import adapters
    from interlock.agents.limits import DailyCap, with_daily_cap, with_slots
    from interlock.gates.ci_api import Outside
    from interlock.gates.context import GateContext
    from interlock.gates.held_out import HeldOut
    from interlock.gates.locks import Slots

    settings, environ = ground.settings, ground.environ
    state = ground.general.state
    cap = DailyCap(state / "spent", settings.daily_tokens, settings.daily_cost_usd, ground.clock.now)
    slots = Slots(state / "slots", settings.slots, environ)
    agents = with_daily_cap(with_slots(adapters(environ, ground.top), partial(_turn, slots)), cap)
    outside = Outside(settings.ci.endpoint, settings.ci.token, settings.ci.poll_s, settings.ci.grace_s)
    held_out = HeldOut(settings.held_out, environ, ground.top)
    shared = (workspaces, ground.blobs, ground.journal, environ, ground.paths.locks)
    return GateContext(*shared, slots, agents, outside, held_out=held_out)


def _turn(slots: Slots, brief: Brief, cancel: Cancel) -> AbstractContextManager[Slot]:
    from interlock.gates.locks import WaitingWork

    return slots.acquire(cancel, WaitingWork(brief.run, str(brief.attempt)))


def _referee(bench: GateContext) -> Referee:
    from interlock.gates.referee import Referee

    return Referee(bench)


def _notices(ground: _Ground, service: Service) -> Notices:
    from interlock.notify import Notices

    notify = ground.settings.notify
    return Notices(
        channels=tuple(_channels(notify, ground.general.config, ground.environ)),
        events=frozenset(notify.events),
        attempts=notify.attempts,
        backoff_s=ground.backoff_s,
        repository=str(ground.top),
        journal=ground.journal,
        clock=ground.clock,
        locate=service.locate_run,
    )


def _driver(ground: _Ground, service: Service, bench: GateContext, notices: Notices) -> Owner:
    from interlock.engines.owner import Owner
    from interlock.pipelinefile.templates import render

    holder = _holder()
    stores = (ground.blobs, ground.journal, ground.clock)
    service.settle()
    return Owner(
        world=World(bench.workspaces, bench.agents, service.gates(), *stores, render, lambda: True),
        lock=partial(_lock, ground.paths, holder),
        seize=partial(_lock, ground.paths, holder, seize=True),
        state_of=service.histories.state,
        name=f"{holder.pid}@{holder.host}",
        environ=ground.environ,
        places=ground.settings.max_parallel,
        backoff_s=ground.backoff_s,
        attendants=tuple(_attendants(notices, service.describe_run, ground.environ)),
        effects=partial(_effects, ground, holder),
    )


def _pull_requests(
    ground: _Ground, service: Service, workspaces: Callable[[], GitWorkspaces], owner: Callable[[], Owner]
) -> PullRequests:
    from interlock.service.pull_requests import PullRequests

    return PullRequests(
        service=service,
        journal=ground.journal,
        push=lambda commit, remote, branch: workspaces().propose(commit, remote, branch),
        lock=lambda run: owner().effects(run),
        repository=ground.top,
        folder=ground.paths.root / "pull-requests",
        environ=ground.environ,
    )


def _vanished(identity: Identity) -> str:
    """What is wrong if there is no run; empty where there need not be any."""
    if identity.recorded:
        return lost_journal(identity.paths.root)
    return identity.notice if identity.lost else ""


def _lost(journal: SqliteJournal, paths: RepositoryPaths) -> list[str]:
    """Runs that were recorded, that the store keeps work of or that somebody drove, and that the journal knows nothing
    of."""
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


def repository_of(cwd: Path, environ: Mapping[str, str]) -> tuple[Path, Path]:
    """The root of the working tree and the common git directory, absolute. Raises UsageError."""
    words = ("git", "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir")
    try:
        done = capture(words, cwd=cwd, env=scrubbed(environ, ("HOME", "XDG_CONFIG_HOME")))
    except InfrastructureError:
        _check_version(environ)
        raise
    lines = os.fsdecode(done.out).split("\n")[:-1]
    if done.code != 0 or len(lines) != 2:
        _check_version(environ)  # an old git does not know our options, and says other things
    if done.code == 0 and len(lines) != 2:
        raise UsageError(f"{os.fsdecode(done.out)!r}: a path with a line break cannot be used: rename the folder")
    if done.code != 0:
        raise UsageError(_no_repository(cwd, done.err.decode("utf-8", "replace").strip().removeprefix("fatal: ")))
    return Path(lines[0]), Path(lines[1]).resolve()


def _check_version(environ: Mapping[str, str]) -> None:
    from interlock.workspaces import check_version  # late: where git is as it should be, it is not asked

    check_version(environ)


def _no_repository(cwd: Path, said: str) -> str:
    """`said` is git's own word for it."""
    why = said.partition("\n")[0]
    if "dubious ownership" in why:
        return (
            f"{cwd}: git does not trust it ({why}): run `git config --global --add safe.directory PATH` with that path"
        )
    because = f" ({why})" if why else ""
    return (
        f"{cwd} is not in the working tree of a git repository{because}: go to one, or make one with `git init` and a"
        " first commit"
    )


def _lock(paths: RepositoryPaths, holder: Holder, run: str, *, seize: bool = False) -> RunLock:
    return RunLock(paths.run_lock(run), holder, seize=seize)


@contextmanager
def _effects(ground: _Ground, holder: Holder, run: str) -> Iterator[None]:
    """One at a time, over all processes. Who does not go on is named."""
    wait_s = float(ground.environ.get("INTERLOCK_EFFECTS_WAIT_S", EFFECTS_WAIT_S))
    lock = RunLock(ground.paths.effects_lock(run), holder, busy="delivered or pushed", wait_s=wait_s)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock)
        except Owned as error:
            mend = f"wait for it, or end it if it was stopped (kill -9 {error.owner.pid})" if error.owner else "wait"
            raise InfrastructureError(f"{error}: {mend}; then try again") from error
        yield


def _owner(paths: RepositoryPaths, run: str) -> str:
    holder = owner_of(paths.run_lock(run))
    return str(holder) if holder else ""


def _holder() -> Holder:
    return Holder(os.getpid(), os.uname().nodename, datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"))
