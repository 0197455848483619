"""What `interlock doctor` finds out about the runs of a repository, its folders and its agent programs.

Rule: nothing is written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.cli.exits import Exit
from interlock.ports import InterlockError, UsageError

if TYPE_CHECKING:
    from interlock.agents.probe import ProbeResult
    from interlock.application import Application
    from interlock.core.pipeline import AgentSpec
    from interlock.readmodel.run import RunSummary
    from interlock.settings import Identity, Paths, RepositoryPaths, Settings

_RUNS_MAX = 100_000
_SHOWN_MAX = 20
_NO_RUNS = "no runs of this repository"


@dataclass(frozen=True, slots=True)
class DoctorResult:
    """One thing that was checked. `level` is ok, note (nothing is wrong, and it is worth knowing), warn (runs that
    need it will not work) or bad."""

    topic: str
    level: str
    text: str
    code: Exit = Exit.ACCEPTED  # the exit code of the command if it is bad


# --- the runs -------------------------------------------------------------------------------------


def check_runs(cwd: Path, environ: Mapping[str, str], identity: Identity) -> Iterator[DoctorResult]:
    """Whose runs they are, and whether each can be read. Each is read whole, so that any change or loss shows."""
    from interlock.bootstrap import build

    paths = identity.paths
    if not (paths.journal.exists() or paths.store.exists() or identity.recorded):
        yield from _without_journal(identity)
        return
    try:
        app = build(cwd, environ, _settings(environ))
    except InterlockError as error:
        yield DoctorResult("journal", "bad", str(error), Exit.INFRASTRUCTURE)
        return
    try:
        if app.notice and not app.service.has_vanished():
            yield DoctorResult("identity", "note", app.notice)
        if identity.begun_anew:
            yield DoctorResult(
                "identity", "note", f"its state folder was created again, with this notice: {identity.begun_anew}"
            )
        yield from _check_journal(app)
    except InterlockError as error:
        yield DoctorResult("journal", "bad", str(error), Exit.INFRASTRUCTURE)
    finally:
        app.close()


def _settings(environ: Mapping[str, str]) -> Settings:
    """With the server and the blobs of its runs; what is wrong with a setting is told in a line of its own."""
    from interlock.settings import Settings, load_settings, paths_of

    try:
        return replace(Settings(), temporal=load_settings(paths_of(environ).config).temporal)
    except UsageError:
        return Settings()


def check_records(paths: Paths, identity: Identity) -> Iterator[DoctorResult]:
    """Several state folders of one id, as copies of a repository have them."""
    from interlock.settings import records_of

    records = records_of(paths, identity.known)
    if len(records) < 2:
        return
    ours = identity.paths.root
    names = [
        f"{record.root.name} (of {record.place}{', this one' if record.root == ours else ''})" for record in records
    ]
    text = f"{len(records)} folders in {paths.state} have this id: {', '.join(names[:_SHOWN_MAX])}"
    yield DoctorResult("identity", "note", text)


def check_key(paths: Paths, identity: Identity) -> DoctorResult:
    """The key that signs records of handoffs."""
    from interlock.service.formats import moment
    from interlock.signing import KeyFolder

    folder = KeyFolder(paths.keys)
    try:
        known = folder.states()
        status = folder.file.stat() if folder.file.exists() else None
    except (InterlockError, OSError) as error:
        return DoctorResult("key", "bad", str(error), Exit.INFRASTRUCTURE)
    if status is not None:
        current = next((f" {each.id[:12]}" for each in known if each.state == "current"), "")
        made = f"mode {status.st_mode & 0o777:04o}, made {moment(status.st_mtime)}"
        return DoctorResult("key", "ok", f"signs with{current} ({folder.file}, {made})")
    if known or identity.paths.journal.exists():
        lost = "" if known else ", and what was signed before cannot be verified"
        text = (
            f"there is no {folder.file} any more: restore {paths.keys} from a backup; else the next run makes a new key"
        )
        return DoctorResult("key", "warn", text + lost)
    return DoctorResult("key", "note", f"none yet: the first run makes one in {folder.file}")


def _without_journal(identity: Identity) -> Iterator[DoctorResult]:
    if identity.lost:
        yield DoctorResult("journal", "bad", identity.notice, Exit.INFRASTRUCTURE)
        return
    if identity.notice:
        yield DoctorResult("identity", "note", identity.notice)
    yield DoctorResult("journal", "note", _NO_RUNS)


def _check_journal(app: Application) -> Iterator[DoctorResult]:
    from interlock.service.formats import count

    runs = app.service.list_runs(_RUNS_MAX)
    readable = [run for run in runs if run.is_readable]
    unreadable = [run for run in runs if not run.is_readable]
    if unreadable:
        others = "; the others are intact" if readable else ""
        text = f"{len(unreadable)} of {count(len(runs), 'run')} cannot be read{others}"
        yield DoctorResult("journal", "bad", text, Exit.INFRASTRUCTURE)
        yield from _unreadable(unreadable)
    elif runs:
        text = f"{count(len(runs), 'run')}, all intact{_adopted(app.journal.runs_without_digests())}"
        yield DoctorResult("journal", "ok", text)
    else:
        yield DoctorResult("journal", "note", _NO_RUNS)
    yield from _set_aside(sorted(app.aside.runs().difference(run.id for run in runs)))
    if runs:
        yield _check_store(app, readable)
    yield from _evidence(app, readable)


def _adopted(number: int) -> str:
    """How many runs an upgrade found without digests."""
    text = f"; {number} of them started before events had digests: these are as they were when Interlock was upgraded"
    return text if number else ""


def _unreadable(runs: Sequence[RunSummary]) -> Iterator[DoctorResult]:
    """Each reason once."""
    from interlock.cli.words import by_reason

    for them in by_reason(runs):
        first = them.runs[0]
        way_out = first.way_out and (first.way_out if len(them.runs) == 1 else "interlock doctor --set-aside RUN")
        out = f"; to hide what cannot be repaired: {way_out}" if way_out else ""
        yield DoctorResult(them.which, "bad", f"{first.phase}: {first.why}{out}", Exit.INFRASTRUCTURE)


def _set_aside(runs: Sequence[str]) -> Iterator[DoctorResult]:
    from interlock.service.formats import count

    if runs:
        them = ", ".join(runs)
        text = (
            f"{count(len(runs), 'damaged run')}, in no list ({them}): interlock doctor --bring-back RUN lists it again"
        )
        yield DoctorResult("set aside", "note", text)


def _check_store(app: Application, runs: Sequence[RunSummary]) -> DoctorResult:
    """Whether the store has the base of each unfinished run."""
    from interlock.readmodel.run import OVER
    from interlock.service.formats import count
    from interlock.workspaces import base_ref

    store, mend = app.paths.store, "restore it from a backup, or start the run again"
    if not store.is_dir():
        text = f"{store} is missing, with the work of all runs: {mend}"
        return DoctorResult("store", "bad", text, Exit.INFRASTRUCTURE)
    lacking = [run.id for run in runs if run.phase not in OVER and not (store / base_ref(run.base_commit)).is_file()]
    if lacking:
        text = f"{store} lacks the base of {count(len(lacking), 'run')} ({_names(lacking)}): {mend}"
        return DoctorResult("store", "bad", text, Exit.INFRASTRUCTURE)
    return DoctorResult("store", "ok", str(store))


def _evidence(app: Application, runs: Sequence[RunSummary]) -> Iterator[DoctorResult]:
    """The evidence of the newest runs."""
    from interlock.service.formats import count
    from interlock.service.integrity import check_evidence

    found = check_evidence(app.service.history, app.blobs, (run.id for run in runs))
    if not found.missing:
        if found.checked:
            text = f"{count(found.checked, 'file')} of the newest events, all present"
            yield DoctorResult("evidence", "ok", text)
        return
    names = _names(list(dict.fromkeys(run for run, _ in found.missing)))
    text = (
        f"{len(found.missing)} of {count(found.checked, 'file')} that the newest events name are missing or truncated"
        f" (of {names}), such as {found.missing[0][1]} in {app.paths.blobs}: restore them from a backup; runs that do"
        " not need them can continue"
    )
    yield DoctorResult("evidence", "bad", text, Exit.INFRASTRUCTURE)


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN_MAX]) + (", ..." if len(names) > _SHOWN_MAX else "")


# --- the folders ----------------------------------------------------------------------------------


def check_folders(paths: RepositoryPaths | None, environ: Mapping[str, str]) -> Iterator[DoctorResult]:
    from interlock.sandbox import best_level
    from interlock.settings import paths_of

    try:
        general = paths_of(environ)
    except InterlockError as error:
        yield DoctorResult("state", "bad", str(error), Exit.INFRASTRUCTURE)
        return
    yield _check_folder("state", paths.root if paths else general.state)
    yield _check_folder("cache", paths.places if paths else general.cache)
    if paths is not None and best_level(environ) == "full":
        yield _check_overlays(paths)


def disk_of(paths: RepositoryPaths) -> dict[str, int]:
    """Bytes on the disk for each kind of data of this repository."""
    from interlock.workspaces.gc import size_of, usage

    used = usage(paths.store, (paths.places, paths.gates, paths.former_places))
    journal = [paths.journal, *paths.root.glob("journal.db-*")]
    return {
        "journal": sum(map(_blocks, journal)), "evidence": size_of(paths.blobs), "objects": used.objects,
        "kits": used.packs, "setups": used.setups, "checkouts": used.checkouts, "templates": used.templates,
    }  # fmt: skip


def _blocks(path: Path) -> int:
    """The bytes that a file takes on the disk; 0 if there is none."""
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def check_disk(disk: Mapping[str, int]) -> DoctorResult:
    from interlock.service.formats import size

    parts = ", ".join(f"{name} {size(number)}" for name, number in disk.items())
    return DoctorResult("disk", "ok", f"{size(sum(disk.values()))} ({parts}); `interlock gc` removes what no run needs")


def _check_folder(topic: str, folder: Path) -> DoctorResult:
    """Whether the folder, or its nearest parent that exists, can be written. Nothing is created."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        name = f"INTERLOCK_{topic.upper()}_HOME"
        text = f"{folder} cannot be written: make it writable, or set another folder in {name}"
        return DoctorResult(topic, "bad", text, Exit.INFRASTRUCTURE)
    return DoctorResult(topic, "ok", str(folder))


def _check_overlays(paths: RepositoryPaths) -> DoctorResult:
    """Whether checkouts can be overlays. The trial leaves nothing."""
    from interlock.workspaces.layers import refusal_here
    from interlock.workspaces.storage import own

    why = refusal_here(own(paths.store, "templates"), paths.gates)
    if why:
        return DoctorResult("checkouts", "note", f"each is a copy, which takes seconds in a large repository: {why}")
    return DoctorResult("checkouts", "ok", "each is an overlay: its cost does not grow with the repository")


# --- the agent programs ---------------------------------------------------------------------------


def check_limits(environ: Mapping[str, str], level: str) -> DoctorResult:
    """Which limits of a sandbox hold, tried with programs that pass them."""
    from interlock.cli.words import COUNTED_BY_THE_KERNEL, POLLED
    from interlock.sandbox import POLLING, limits_held

    try:
        held = limits_held(environ, level)
    except InterlockError as error:
        return DoctorResult("limits", "bad", str(error), Exit.INFRASTRUCTURE)
    means: dict[str, list[str]] = {}
    for one in held:
        means.setdefault(one.means, []).append(one.limit)
    passed = means.pop("", [])
    words = "; ".join(f"{', '.join(limits)} by {by}" for by, limits in means.items())
    if passed:
        text = f"{', '.join(passed)}: a program passed the limit and was not ended. {words}"
        text += f". {COUNTED_BY_THE_KERNEL}" if "memory" in passed else ""
        return DoctorResult("limits", "warn", text, Exit.INFRASTRUCTURE)
    advice = "" if "memory" not in means.get(POLLING, []) else f". {POLLED} {COUNTED_BY_THE_KERNEL}"
    return DoctorResult("limits", "note" if advice else "ok", words + advice)


def check_programs(environ: Mapping[str, str], agents: Sequence[AgentSpec]) -> Iterator[DoctorResult]:
    """The installed programs that have an adapter, and whether the agents of the pipelines can use theirs."""
    from interlock.agents.probe import probe

    for one in probe(environ):
        if one.path:
            yield _check_program(one, environ, [agent for agent in agents if agent.use == one.name])
    for agent in agents:
        if wrong := _missing(agent, environ) or _unset(agent, environ):
            yield DoctorResult(f"agent {agent.name}", "warn", wrong)


def _check_program(one: ProbeResult, environ: Mapping[str, str], users: Sequence[AgentSpec]) -> DoctorResult:
    from interlock.conventions.programs import is_older, program

    known, needed = f"{one.version or 'of unknown version'} ({one.path})", program(one.name).tested
    topic = f"agent {one.name}"
    if is_older(one.version, needed):
        return DoctorResult(topic, "warn", f"{known} is too old: install {needed} or newer")
    if users:
        given = "; ".join(dict.fromkeys(_given(agent, environ) for agent in users))
        able = any(_is_lent(agent) or any(map(environ.get, agent.secrets)) for agent in users)
        return DoctorResult(topic, "ok" if able else "note", f"{known}, {given}")
    access = one.access or "no key and no login seen"
    return DoctorResult(topic, "ok" if one.access else "note", f"{known}, {access}: {one.advice}")


def _given(agent: AgentSpec, environ: Mapping[str, str]) -> str:
    """The keys and the login that the pipelines give to an agent."""
    keys = [name for name in agent.secrets if environ.get(name)]
    given = ["its login"] if _is_lent(agent) else []
    return f"{agent.name} is given {' and '.join((*keys, *given)) or 'no key and no login'}"


def _missing(agent: AgentSpec, environ: Mapping[str, str]) -> str:
    """The Python package or the program that the agent's adapter needs and that is not installed."""
    from interlock.conventions.programs import ADAPTERS
    from interlock.process import scrubbed

    adapter = ADAPTERS[agent.use]
    if adapter.package and not find_spec(adapter.package):
        return f"`use: {adapter.name}` needs more: pip install 'interlock[{adapter.extra}]'"
    if not adapter.driven:
        return ""
    started = agent.command.words[0] if adapter.runs and agent.command is not None else adapter.program
    if not started or "/" in started or shutil.which(started, path=scrubbed(environ).get("PATH", "")):
        return ""
    return f"{started} is not on the PATH, and the pipelines name it: install it, or name another program"


def _unset(agent: AgentSpec, environ: Mapping[str, str]) -> str:
    """The keys that are not set, for an adapter that checks them before it starts its program."""
    from interlock.agents.failures import Access, missing_keys
    from interlock.conventions.programs import ADAPTERS

    if not ADAPTERS[agent.use].driven:
        return ""
    seen = {name: environ.get(name, "") for name in (*agent.env, *agent.secrets)}
    return missing_keys(Access(agent.use, seen, agent.secrets, login=_is_lent(agent)))


def _is_lent(agent: AgentSpec) -> bool:
    return json.loads(dict(agent.options).get("login", "false")) is True
