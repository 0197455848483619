"""`interlock doctor`: what Interlock needs and uses on this machine. Rule: it reports trouble and never stops at it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock import __version__
from interlock.cli.exits import Exit
from interlock.cli.looking import DoctorResult, of_records, of_runs
from interlock.cli.opened import note, say
from interlock.cli.programs_seen import agents_in, of_programs
from interlock.ports import InterlockError, UsageError

if TYPE_CHECKING:
    from interlock.core.pipeline import AgentSpec
    from interlock.settings import Identity, RepositoryPaths

_MARKS = {"ok": ("✓", "green"), "note": ("-", "bright_black"), "warn": ("!", "yellow"), "bad": ("✗", "red")}


@dataclass(frozen=True, slots=True)
class _Seen:
    looked: tuple[DoctorResult, ...]
    agents: Mapping[str, str] = field(default_factory=dict)
    disk: Mapping[str, int] = field(default_factory=dict)
    pipelines: Mapping[str, bool] = field(default_factory=dict)
    state: str = ""


@click.command()
@click.option(
    "--live", "live", metavar="AGENT", default="", help="Make one tiny call of this agent. It costs a little."
)
@click.option("--set-aside", "aside", metavar="RUN", multiple=True, help="Take a damaged run out of the lists; or all.")
@click.option("--bring-back", "back", metavar="RUN", multiple=True, help="List one that was set aside again; or all.")
@click.option("--json", "json", is_flag=True, help="As JSON on stdout.")
def doctor(live: str, aside: tuple[str, ...], back: tuple[str, ...], json: bool) -> int:
    """Look at git, Python, agents, the state folder, the disk and the pipelines, and read every run.

    A damaged run that nothing can mend can be set aside: it leaves the lists, and all that is left of it stays."""
    from interlock.service.jsons import document

    if aside or back:
        return _aside(aside, back, json=json)
    if live:
        return _live(live, Path.cwd(), os.environ, json=json)
    seen = _look(Path.cwd(), os.environ)
    if json:
        say(document(interlock=__version__, **_parts(seen)))
    else:
        say(_line(one) for one in seen.looked)
    return max((one.code for one in seen.looked if one.level == "bad"), default=Exit.ACCEPTED)


def _aside(aside: Sequence[str], back: Sequence[str], *, json: bool) -> int:
    from interlock.cli.aside import bring_back, set_aside
    from interlock.cli.words import safe
    from interlock.service.jsons import document

    gone, here = set_aside(aside) if aside else {}, bring_back(back) if back else []
    if json:
        say(document(set_aside=gone, brought_back=here))
        return Exit.ACCEPTED
    for run, why in gone.items():
        say([f"run {run} is set aside: {safe(why, 400)}", f"  listed again by: interlock doctor --bring-back {run}"])
    say(f"run {run} is listed again" for run in here)
    if aside and not gone:
        note("no run is damaged")
    return Exit.ACCEPTED


def _parts(seen: _Seen) -> dict[str, object]:
    return {
        "state": seen.state, "agents": seen.agents, "disk_bytes": seen.disk, "pipelines": seen.pipelines,
        "looked": seen.looked,
    }  # fmt: skip


def _line(one: DoctorResult) -> str:
    from interlock.cli.words import safe

    mark, tone = _MARKS[one.level]
    return f"{click.style(mark, fg=tone)} {safe(one.topic, 1000)}: {safe(one.text, 1000)}"


def _look(cwd: Path, environ: Mapping[str, str]) -> _Seen:
    from interlock.settings import paths_of

    agents = _agents(environ)
    identity, root, where = _repository(cwd, environ)
    used = agents_in(root) if root is not None else ()
    looked = [*_machine(environ), _of_agents(agents), *of_programs(environ, used)]
    paths = identity.paths if identity else None
    looked += [where, *_of_folders(paths, environ)]
    if identity is None or paths is None or root is None:
        return _Seen(tuple(looked), agents)
    disk = _disk(paths)
    pipelines = dict(_pipelines(root))
    looked += [*of_records(paths_of(environ), identity), *of_runs(cwd, environ, identity)]
    looked += [_committer(root, environ), _of_disk(disk), *_of_pipelines(pipelines), *_of_missing_agents(root)]
    looked += _held_out(root, environ)
    valid = {name: not wrong for name, wrong in pipelines.items()}
    return _Seen(tuple(looked), agents, disk, valid, str(paths.root))


# --- the machine -----------------------------------------------------------------------------------


def _machine(environ: Mapping[str, str]) -> Iterator[DoctorResult]:
    from interlock.cli.words import not_looked_in

    yield DoctorResult("interlock", "ok", f"{__version__}, in {Path(__file__).parents[2]}")
    yield DoctorResult("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield _git(environ)
    if left_out := not_looked_in(environ):
        yield DoctorResult("PATH", "note", left_out)
    yield _settings(environ)
    yield DoctorResult("sandbox", "note", "none: agents and gates run with your user's rights")


def _git(environ: Mapping[str, str]) -> DoctorResult:
    from interlock.process import capture, scrubbed
    from interlock.workspaces import check_version

    try:
        check_version(environ)
        said = capture(["git", "version"], env=scrubbed(environ)).out.decode("utf-8", "replace").strip()
    except InterlockError as error:
        return DoctorResult("git", "bad", str(error), Exit.INFRASTRUCTURE)
    return DoctorResult("git", "ok", f"{said} ({shutil.which('git', path=environ.get('PATH'))})")


def _settings(environ: Mapping[str, str]) -> DoctorResult:
    from interlock.settings import load_settings, paths_of

    try:
        config = paths_of(environ).config
        found = load_settings(config)
    except InterlockError as error:
        return DoctorResult("settings", "bad", str(error), Exit.USAGE)
    return DoctorResult(
        "settings", "ok", f"{config}: at most {found.slots} at work at once, {found.max_parallel} of one run"
    )


def _agents(environ: Mapping[str, str]) -> dict[str, str]:
    from interlock.core.programs import PROGRAMS
    from interlock.process import scrubbed

    path = scrubbed(environ).get("PATH")
    found = {program.name: shutil.which(program.name, path=path) for program in PROGRAMS}
    return {name: place for name, place in found.items() if place}


def _of_agents(agents: Mapping[str, str]) -> DoctorResult:
    from interlock.core.programs import PROGRAMS

    if agents:
        return DoctorResult("agents", "ok", ", ".join(f"{name} ({place})" for name, place in agents.items()))
    known = ", ".join(program.name for program in PROGRAMS)
    return DoctorResult("agents", "note", f"none of {known} is on the PATH; any command can be an agent")


def _live(name: str, cwd: Path, environ: Mapping[str, str], *, json: bool) -> int:
    """The agent of this name in a pipeline here, or the program of this name; one call, and what came of it."""
    import time

    from interlock.agents import adapters
    from interlock.agents.probe import call_once
    from interlock.cli.words import lasted, usage
    from interlock.ports import Ended
    from interlock.service.jsons import document

    _, root, _ = _repository(cwd, environ)
    spec = _spec_of(name, root, environ)
    began = time.monotonic()
    outcome = call_once(adapters(environ, root or cwd)[spec.use], spec, environ)
    passed = time.monotonic() - began
    done = outcome.ended is Ended.COMPLETED
    if json:
        parts = {"agent": name, "ended": outcome.ended, "message": outcome.message, "model": outcome.model}
        say(document(**parts, usage=outcome.usage, seconds=passed))
    else:
        used = usage(outcome.usage) or "what it used is not known"
        model = f" ({outcome.model})" if outcome.model else ""
        words = f"{outcome.ended.replace('_', ' ')} in {lasted(passed)}{model}, {used}"
        said = f": {outcome.message}" if outcome.message else ", and it said nothing"
        say(_line(DoctorResult(f"agent {name}", "ok" if done else "bad", words + said)))
    return Exit.ACCEPTED if done else Exit.INFRASTRUCTURE


def _spec_of(name: str, root: Path | None, environ: Mapping[str, str]) -> AgentSpec:
    from interlock.agents.probe import default_spec
    from interlock.pipelinefile import find_pipelines, load_pipeline

    known: dict[str, AgentSpec] = {}
    for path in find_pipelines(root).values() if root else ():
        known |= {agent.name: agent for agent in load_pipeline(path, root or path.parent).pipeline.agents}
    if name in known:
        return known[name]
    try:
        return default_spec(name, environ)
    except KeyError:
        there = f": the pipelines here have {', '.join(known)}" if known else ""
        raise UsageError(f"--live {name}: there is no such agent{there}") from None


# --- the repository --------------------------------------------------------------------------------


def _repository(cwd: Path, environ: Mapping[str, str]) -> tuple[Identity | None, Path | None, DoctorResult]:
    from interlock.bootstrap import repository_of
    from interlock.settings import identify, paths_of

    try:
        root, common = repository_of(cwd, environ)
        return identify(paths_of(environ), common), root, DoctorResult("repository", "ok", str(root))
    except UsageError as error:
        return None, None, DoctorResult("repository", "note", str(error))
    except InterlockError as error:
        return None, None, DoctorResult("repository", "bad", str(error), Exit.INFRASTRUCTURE)


def _committer(root: Path, environ: Mapping[str, str]) -> DoctorResult:
    """Who commits are by."""
    from interlock.bootstrap import repository_of
    from interlock.cli.words import NO_IDENTITY
    from interlock.workspaces import identities_in

    try:
        author, _ = identities_in(repository_of(root, environ)[1], environ)
    except InterlockError as error:
        return DoctorResult("git identity", "bad", str(error), Exit.INFRASTRUCTURE)
    return (
        DoctorResult("git identity", "ok", f"commits are by {author}")
        if author
        else DoctorResult("git identity", "note", NO_IDENTITY)
    )


def _of_folders(paths: RepositoryPaths | None, environ: Mapping[str, str]) -> Iterator[DoctorResult]:
    from interlock.settings import paths_of

    try:
        general = paths_of(environ)
    except InterlockError as error:
        yield DoctorResult("state", "bad", str(error), Exit.INFRASTRUCTURE)
        return
    yield _of_folder("state", paths.root if paths else general.state)
    yield _of_folder("cache", paths.places if paths else general.cache)


def _of_folder(topic: str, folder: Path) -> DoctorResult:
    """Whether it can be written, judged by what there is of it, and nothing is made."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        name = f"INTERLOCK_{topic.upper()}_HOME"
        text = f"{folder} cannot be written: make it writable, or name another place in {name}"
        return DoctorResult(topic, "bad", text, Exit.INFRASTRUCTURE)
    return DoctorResult(topic, "ok", str(folder))


def _disk(paths: RepositoryPaths) -> dict[str, int]:
    """Bytes on the disk for each kind of thing that is kept of this repository."""
    from interlock.cli.amounts import on_disk
    from interlock.workspaces.gc import usage

    used = usage(paths.store, (paths.places, paths.former_places))
    journal = [paths.journal, *paths.root.glob("journal.db-*")]
    return {
        "journal": sum(on_disk(path) for path in journal),
        "evidence": on_disk(paths.blobs),
        "objects": used.objects,
        "kits": used.kits,
        "setups": used.setups,
        "checkouts": used.places,
    }


def _of_disk(disk: Mapping[str, int]) -> DoctorResult:
    from interlock.cli.amounts import size

    parts = ", ".join(f"{name} {size(number)}" for name, number in disk.items())
    return DoctorResult("disk", "ok", f"{size(sum(disk.values()))} ({parts}); interlock gc frees what no run needs")


def _pipelines(root: Path) -> Iterator[tuple[str, int]]:
    """Each with the number of its mistakes, 0 where it is valid."""
    from interlock.pipelinefile import InvalidPipeline, find_pipelines, load_pipeline

    for path in find_pipelines(root).values():
        name = str(path.relative_to(root))
        try:
            load_pipeline(path, root)
        except InvalidPipeline as error:
            yield name, sum(mistake.level == "error" for mistake in error.mistakes)
        else:
            yield name, 0


def _of_missing_agents(root: Path) -> Iterator[DoctorResult]:
    """Agents that are still to be filled in, each once."""
    from interlock.cli.pipelines import line
    from interlock.pipelinefile import InvalidPipeline, find_pipelines, load_pipeline

    seen: set[str] = set()
    for path in find_pipelines(root).values():
        try:
            loaded = load_pipeline(path, root)
        except InvalidPipeline:
            continue
        seen.update(line(each) for each in loaded.findings if each.message.startswith("no agent is there yet"))
    yield from (DoctorResult("agent", "note", said) for said in sorted(seen))


def _of_pipelines(pipelines: Mapping[str, int]) -> Iterator[DoctorResult]:
    from interlock.cli.words import count

    if not pipelines:
        yield DoctorResult("pipelines", "note", "none yet: interlock init writes some")
    for name, wrong in pipelines.items():
        if wrong:
            yield DoctorResult(
                "pipeline", "bad", f"{name}: {count(wrong, 'mistake')}: run interlock validate", Exit.USAGE
            )
        else:
            yield DoctorResult("pipeline", "ok", f"{name} is valid")


def _held_out(root: Path, environ: Mapping[str, str]) -> Iterator[DoctorResult]:
    """The names that settings and environment know, and those that pipelines here name."""
    from interlock.core.held_out import is_name
    from interlock.gates.held_out import HeldOut, HeldOutMissing
    from interlock.settings import load_settings, paths_of

    try:
        known = HeldOut(load_settings(paths_of(environ).config).held_out, environ, root)
    except InterlockError:
        return  # it was said of the settings
    needed = _named(root)
    for name in sorted({*known.names(), *filter(is_name, needed)}):
        try:
            yield DoctorResult("held out", "ok", f"{name}: {known.source(name)}")
        except HeldOutMissing as error:
            users = f" ({', '.join(needed[name])} cannot be judged)" if name in needed else ""
            yield DoctorResult("held out", "bad" if users else "note", f"{name}: {error}{users}", Exit.USAGE)


def _named(root: Path) -> dict[str, list[str]]:
    """What gates of the pipelines here hold out, with the gates."""
    from interlock.pipelinefile import InvalidPipeline, find_pipelines, load_pipeline

    found: dict[str, list[str]] = {}
    for path in find_pipelines(root).values():
        try:
            stages = load_pipeline(path, root).pipeline.stages
        except InvalidPipeline:
            continue
        for stage in stages:
            for gate in stage.gates:
                if gate.held_out:
                    found.setdefault(gate.held_out, []).append(f"{stage.id}/{gate.id}")
    return found
