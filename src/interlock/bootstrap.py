"""Wiring, by hand: from a folder and an environment to everything that a surface needs."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.application import Application, Once, given_sandbox, keys_of
from interlock.core.state import RunState
from interlock.execution.histories import Histories
from interlock.journal import FileBlobs, LocalRuns, MirroredRuns, SetAsideRuns, SharedBlobs, SqliteJournal
from interlock.journal.mirror import ADOPTED
from interlock.machines import blobs_of, server_of, worker_paths
from interlock.pipelinefile import decode_pipeline
from interlock.ports import Brief, Cancel, Gates, Notes, World
from interlock.readmodel.run import RunView
from interlock.service import Service
from interlock.service.integrity import lost_journal
from interlock.settings import (
    Identity,
    NotifySettings,
    Paths,
    RepositoryPaths,
    RunLock,
    Settings,
    TemporalSettings,
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
    from interlock.engines.owner import Drive, Driving, Observer, Owner
    from interlock.engines.temporal.reading import ServerRuns
    from interlock.engines.temporal.server import Server
    from interlock.engines.temporal.worker import Performer
    from interlock.gates.locks import Slot, Slots
    from interlock.gates.referee import GateContext, Referee
    from interlock.notify import Channel, Notices
    from interlock.service.pull_requests import PullRequests
    from interlock.workspaces import GitWorkspaces

EFFECTS_WAIT_S = 30.0  # for a delivery or push of another process; if it takes longer, that is an error


class SystemClock:
    """Implements ports.Clock."""

    def now(self) -> float:
        return time.time()

    def elapsed(self) -> float:
        return time.monotonic()


def build(cwd: Path, environ: Mapping[str, str], settings: Settings | None = None) -> Application:
    """With the user's settings if none are given. Raises UsageError (no repository, wrong settings) and
    InfrastructureError (the state folder cannot be used)."""
    top, common_dir = repository_of(cwd, environ)
    general = paths_of(environ)
    settings = settings or load_settings(general.config)
    identity = identify(general, common_dir)
    paths = identity.paths
    clock = SystemClock()
    journal, blobs, aside = (
        SqliteJournal(paths.journal),
        blobs_of(paths.blobs, settings, environ, reads=True),
        SetAsideRuns(paths.aside),
    )
    notice, gone = identity.notice, _vanished(identity)
    if not (identity.known and identity.recorded) and journal.runs():  # runs of an earlier version, or settled in part
        identity.settle()
        notice, gone = "", lost_journal(paths.root)
    workspaces = Once(partial(_workspaces, paths, top, environ, blobs))
    common = _Common(top, environ, general, paths, settings, journal, blobs, clock)
    engine = _runs(common, workspaces)
    gate_context = Once(lambda: _gate_context(common, workspaces()))
    service = Service(
        engine=engine,
        histories=Histories(engine.history),
        blobs=blobs,
        workspaces=workspaces,
        gates=Once(lambda: _referee(gate_context())),
        clock=clock,
        new_run_id=lambda: new_run_id(clock.now(), secrets.token_bytes(8)),
        new_answer_id=lambda: secrets.token_hex(8),
        lost_runs=partial(_lost, journal, paths),
        vanished=gone,
        aside=aside.runs,
        ready=lambda: keys_of(general).signer(),
        begun=identity.begin,
        settle=identity.settle,
    )
    notices = Once(lambda: _notices(common, service))
    owner = Once(lambda: _driver(common, service, (workspaces(), gate_context()), notices()))
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
    blobs: FileBlobs | SharedBlobs
    clock: SystemClock

    @property
    def backoff_s(self) -> float:
        return float(self.environ.get("INTERLOCK_BACKOFF_S", "1"))


def _workspaces(
    paths: RepositoryPaths, top: Path | None, environ: Mapping[str, str], blobs: FileBlobs | SharedBlobs
) -> GitWorkspaces:
    from interlock.workspaces import GitWorkspaces

    former, own = paths.former_places, paths.own
    return GitWorkspaces(paths.store, paths.places, top, environ, former=former, own=own, blobs=blobs)


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
        records=service.history,
        notes=common.journal,
        clock=common.clock,
        locate=service.locate_run,
    )


def _driver(common: _Common, service: Service, parts: tuple[GitWorkspaces, GateContext], notices: Notices) -> Owner:
    from interlock.engines.owner import Owner

    holder = this_process()
    service.settle()
    return Owner(
        world=_world(common, *parts, service.gates()),
        journal=common.journal,
        lock=partial(_lock, common.paths, holder),
        seize=partial(_lock, common.paths, holder, seize=True),
        state_of=service.histories.state,
        pipeline_of=service.pipeline_of,
        name=f"{holder.pid}@{holder.host}",
        environ=common.environ,
        sandbox=given_sandbox(common.environ),
        places=common.settings.max_parallel,
        backoff_s=common.backoff_s,
        attendants=tuple(_attendants(notices, service.describe_run, common.environ)),
        effects=partial(_effects, common, holder),
        remote=partial(_remote, common, service),
    )


def _world(common: _Common, workspaces: GitWorkspaces, gate_context: GateContext, gates: Gates) -> World:
    from interlock.pipelinefile.templates import render
    from interlock.signing import SignedRecords

    records = SignedRecords(keys_of(common.general).signer(), common.blobs, workspaces.stored_records)
    stores = (common.blobs, common.journal, common.clock)
    return World(workspaces, gate_context.agents, gates, *stores, render, lambda: True, records=records)


def _runs(common: _Common, workspaces: Callable[[], GitWorkspaces]) -> MirroredRuns:
    paths, journal = common.paths, common.journal
    return MirroredRuns(
        local=LocalRuns(journal, journal, partial(_owner, paths)),
        journal=journal,
        notes=journal,
        far=Once(partial(_server_runs, common, workspaces)),
        follower=lambda run: _owner(paths, run) or _holder(paths.deliverer_lock),
        copier=partial(_owner, paths),
        alone=lambda run: one_effect(paths.effects_lock(run), this_process(), 0.0),
        elapsed=common.clock.elapsed,
        parse=decode_pipeline,
        has_server=common.settings.temporal != TemporalSettings() or common.general.dev.is_dir(),
    )


def _server_runs(common: _Common, workspaces: Callable[[], GitWorkspaces]) -> ServerRuns:
    """Raises UsageError where the settings lack what is needed."""
    server = server_of(common.settings, common.environ, common.paths.blobs)
    from interlock.engines.temporal.reading import ServerRuns
    from interlock.process import mounts
    from interlock.signing import SignedRecords

    level = given_sandbox(common.environ) or common.settings.sandbox or "full"
    if level == "full" and threading.current_thread() is threading.main_thread():
        mounts.enter()  # a local run may come next, and once the client has threads an ordinary user cannot
    shared = blobs_of(common.paths.blobs, common.settings, common.environ)
    signer = keys_of(common.general).signer
    return ServerRuns(
        server, workspaces, shared, Once(lambda: SignedRecords(signer(), shared, workspaces().stored_records))
    )


def _remote(common: _Common, service: Service, drive: Drive) -> Driving:
    from interlock.engines.temporal.remote import RemoteEngine
    from interlock.gates.referee import Referee

    server = server_of(common.settings, common.environ, common.paths.blobs)
    drive = replace(drive, world=Referee.sharing(drive.world, server.blobs))
    slots, is_home = common.general.state / "slots", common.journal.noted(ADOPTED, drive.ledger.run) is None
    parts = (server, common.paths.root.name, common.settings.max_parallel, drive, slots)
    return RemoteEngine(*parts, partial(_known_here, service, common.journal), is_home=is_home)


def build_worker(
    environ: Mapping[str, str], settings: Settings | None = None, *, controls: bool = False
) -> tuple[Server, Performer]:
    """A worker: without a repository, with a store, checkouts and caches of its own. Its checkouts can be overlays,
    unless it only `controls` runs. Raises UsageError, InfrastructureError."""
    from interlock.process import mounts

    general = paths_of(environ)
    settings = settings or load_settings(general.config)
    if not controls and (given_sandbox(environ) or settings.sandbox or "full") == "full":
        mounts.enter()  # an ordinary user cannot once there are threads
    paths = worker_paths(general)
    server = server_of(settings, environ, paths.blobs)
    from interlock.engines.temporal.worker import Performer
    from interlock.sandbox import missing

    journal, clock = SqliteJournal(paths.journal), SystemClock()
    blobs = blobs_of(paths.blobs, settings, environ)
    common = _Common(paths.store, environ, general, paths, settings, journal, blobs, clock)
    workspaces = _workspaces(paths, None, environ, blobs)
    gate_context = _gate_context(common, workspaces)
    world = _world(common, workspaces, gate_context, _referee(gate_context))
    holder = this_process()
    world = replace(world, worker=f"{holder.pid}@{holder.host}", lacks=partial(missing, environ=environ))
    return server, Performer(world, environ, server.blobs)


def build_deliverer(app: Application) -> tuple[Server, Performer]:
    """What makes the branches of runs on the server in the repository of `app`. Raises UsageError."""
    server = server_of(app.settings, app.environ, app.paths.blobs)
    from interlock.engines.temporal.worker import Performer
    from interlock.gates.referee import Referee

    world, known = Referee.sharing(app.owner.world, server.blobs), partial(_known_here, app.service, app.journal)
    return server, Performer(world, app.environ, server.blobs, known, alone=app.owner.effects)


def _known_here(service: Service, notes: Notes, run: str, after: int) -> RunState | None:
    """The state of a run that began in this repository, with what is new beyond seq `after`; None of any other."""
    if notes.noted(ADOPTED, run) is not None:
        return None
    service.engine.catch_up(run, after)
    state = service.histories.state(run)
    return state if state.started is not None else None


def _pull_requests(
    common: _Common, service: Service, workspaces: Callable[[], GitWorkspaces], owner: Callable[[], Owner]
) -> PullRequests:
    from interlock.service.pull_requests import PullRequests

    return PullRequests(
        service=service,
        notes=common.journal,
        push=lambda commit, remote, branch: workspaces().propose(commit, remote, branch),
        lock=lambda run: owner().effects(run),
        repository=common.top,
        folder=common.paths.root / "pull-requests",
        environ=common.environ,
    )


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
    return _holder(paths.run_lock(run))


def _holder(lock: Path) -> str:
    holder = owner_of(lock)
    return str(holder) if holder else ""
