"""`interlock doctor`: what Interlock needs and uses on this machine. Rule: it reports errors and never stops at one."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock import __version__
from interlock.cli.application import application
from interlock.cli.diagnosis import (
    DoctorResult,
    check_disk,
    check_folders,
    check_key,
    check_limits,
    check_programs,
    check_records,
    check_runs,
    disk_of,
)
from interlock.cli.exits import Exit
from interlock.cli.many_machines import check_many_machines
from interlock.cli.pipelines import agents_of, check_held_out, check_pipelines, read_pipelines
from interlock.cli.terminal import note, say
from interlock.ports import InterlockError, UsageError

if TYPE_CHECKING:
    from interlock.core.pipeline import AgentSpec, Pipeline
    from interlock.settings import Identity


_MARKS = {"ok": ("✓", "green"), "note": ("-", "bright_black"), "warn": ("!", "yellow"), "bad": ("✗", "red")}
_ALL = "all"


@dataclass(slots=True)
class _Facts:
    """What is found out beside the results."""

    agents: Mapping[str, str] = field(default_factory=dict)
    disk: Mapping[str, int] = field(default_factory=dict)
    pipelines: Mapping[str, bool] = field(default_factory=dict)
    state: str = ""


@click.command()
@click.option(
    "--live",
    "live",
    metavar="AGENT",
    default="",
    help="Call this agent once with a tiny prompt. This costs a few tokens.",
)
@click.option(
    "--set-aside", "aside", metavar="RUN", multiple=True, help="Hide a damaged run (or `all`) from the lists."
)
@click.option(
    "--bring-back",
    "back",
    metavar="RUN",
    multiple=True,
    help="Show a run that was set aside (or `all`) in the lists again.",
)
@click.option(
    "--engine", type=click.Choice(["temporal"]), help="Also check the Temporal server, as where the settings name one."
)
@click.option("--json", "json", is_flag=True, help="Print JSON on stdout.")
def doctor(live: str, aside: tuple[str, ...], back: tuple[str, ...], engine: str | None, json: bool) -> int:
    """Check git, Python, agents, the state folder, the disk and the pipelines, and read every run.

    A damaged run that cannot be repaired can be set aside: it no longer appears in lists, but its files stay."""
    from interlock.service.formats import document

    if aside or back:
        return _set_aside(aside, back, json=json)
    if live:
        return _live(live, Path.cwd(), os.environ, json=json)
    facts, results = _Facts(), []
    far = check_many_machines(os.environ, asked=engine is not None)  # last: its client has threads
    for one in chain(_check(Path.cwd(), os.environ, facts), far):
        results.append(one)
        if not json:
            say(_line(one))
    if json:
        say(document(interlock=__version__, **_parts(facts, results)))
    return max((one.code for one in results if one.level == "bad"), default=Exit.ACCEPTED)


def _parts(facts: _Facts, results: Sequence[DoctorResult]) -> dict[str, object]:
    return {
        "state": facts.state, "agents": facts.agents, "disk_bytes": facts.disk, "pipelines": facts.pipelines,
        "looked": results,
    }  # fmt: skip


def _line(one: DoctorResult) -> str:
    from interlock.cli.words import safe

    mark, tone = _MARKS[one.level]
    return f"{click.style(mark, fg=tone)} {safe(one.topic, 1000)}: {safe(one.text, 1000)}"


def _check(cwd: Path, environ: Mapping[str, str], facts: _Facts) -> Iterator[DoctorResult]:
    """Each result as it is found: some take seconds."""
    from interlock.settings import paths_of

    yield from _machine(environ)
    facts.agents = _agents(environ)
    yield _check_agents(facts.agents)
    identity, root, repository = _repository(cwd, environ)
    pipelines = read_pipelines(root) if root is not None else []
    yield from check_programs(environ, agents_of(pipelines))
    paths = identity.paths if identity else None
    yield repository
    yield from check_folders(paths, environ)
    if identity is None or paths is None or root is None:
        return
    facts.disk, facts.state = disk_of(paths), str(paths.root)
    facts.pipelines = {one.name: one.loaded is not None for one in pipelines}
    yield from check_records(paths_of(environ), identity)
    yield from check_runs(cwd, environ, identity)
    yield check_key(paths_of(environ), identity)
    yield _committer(root, environ)
    yield check_disk(facts.disk)
    yield from check_pipelines(pipelines)
    yield from check_held_out(root, environ, pipelines)


# --- damaged runs ---------------------------------------------------------------------------------


def _set_aside(names: Sequence[str], back: Sequence[str], *, json: bool) -> int:
    from interlock.cli.words import safe
    from interlock.service.formats import document

    gone, here = set_aside(names) if names else {}, bring_back(back) if back else []
    if json:
        say(document(set_aside=gone, brought_back=here))
        return Exit.ACCEPTED
    for run, why in gone.items():
        say([f"run {run} is set aside: {safe(why, 400)}", f"  to list it again: interlock doctor --bring-back {run}"])
    say(f"run {run} is listed again" for run in here)
    if names and not gone:
        note("no run is damaged")
    return Exit.ACCEPTED


def set_aside(names: Sequence[str]) -> dict[str, str]:
    """Hide the named damaged runs, or all, from the lists: nothing of them is removed or changed. Returns what is
    wrong with each. Raises UsageError, before it does anything; InfrastructureError if one is of a newer version."""
    from interlock.readmodel.run import OVER
    from interlock.service.runs import run_named

    with application() as app:
        damaged = {run.id: run.why for run in app.service.damaged_runs()}
        chosen = list(damaged) if _ALL in names else [run_named(app.service.run_ids(), name) for name in names]
        for run in chosen:
            if run not in damaged:
                phase = app.service.locate_run(run).phase
                cure = "nothing to do" if phase in OVER else f"`interlock cancel {run}` ends it"
                raise UsageError(f"run {run} is {phase}, and not damaged: {cure}")
        for run in chosen:
            app.aside.put(run, damaged[run])
        return {run: damaged[run] for run in chosen}


def bring_back(names: Sequence[str]) -> list[str]:
    """List runs again that were set aside. Raises UsageError, before it does anything."""
    with application() as app:
        aside = app.aside.runs()
        chosen = sorted(aside) if _ALL in names else list(names)
        if unknown := [run for run in chosen if run not in aside]:
            there = f": there are {', '.join(sorted(aside))}" if aside else ""
            raise UsageError(f"run {unknown[0]} is not set aside{there}")
        for run in chosen:
            app.aside.bring_back(run)
    return chosen


# --- the machine -----------------------------------------------------------------------------------


def _machine(environ: Mapping[str, str]) -> Iterator[DoctorResult]:
    from interlock.cli.words import path_warning

    yield DoctorResult("interlock", "ok", f"{__version__}, in {Path(__file__).parents[2]}")
    yield DoctorResult("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield _git(environ)
    if left_out := path_warning(environ):
        yield DoctorResult("PATH", "note", left_out)
    yield _settings(environ)
    sandbox = _sandbox(environ)
    yield sandbox
    if sandbox.level == "ok":
        yield check_limits(environ, _wanted_sandbox(environ))


def _sandbox(environ: Mapping[str, str]) -> DoctorResult:
    """The level of new runs; they are refused where it does not hold."""
    from interlock.cli.words import NO_SANDBOX
    from interlock.sandbox import FS_WORDS, instead, probe, probe_fence

    try:
        wanted = _wanted_sandbox(environ)
    except InterlockError as error:
        return DoctorResult("sandbox", "bad", str(error), Exit.USAGE)
    full = probe(environ)
    there = f"full holds here ({full.program})" if full.level == "full" else full.missing
    if wanted == "none":
        fs = "" if full.level == "full" or probe_fence(environ).missing else ". fs holds here"
        return DoctorResult("sandbox", "note", f"{NO_SANDBOX}. {there}{fs}")
    found = probe_fence(environ) if wanted == "fs" else full
    if found.level != wanted:
        why = f"{wanted}: {found.missing}. Until then runs are refused. {instead(wanted, environ)}"
        return DoctorResult("sandbox", "bad", why, Exit.INFRASTRUCTURE)
    if wanted == "fs":
        took = f"a fence takes {found.took_ms:.0f} ms ({found.program})"
        return DoctorResult("sandbox", "ok", f"fs: {took}: {FS_WORDS}. {there}")
    reached = f"a program with an open network reaches {found.open} on this machine"
    whose = f"; {found.id}" if found.id else ""
    return DoctorResult(
        "sandbox", "ok", f"{found.level}: a sandbox takes {found.took_ms:.0f} ms ({found.program}); {reached}{whose}"
    )


def _wanted_sandbox(environ: Mapping[str, str]) -> str:
    """The level that new runs have."""
    from interlock.application import given_sandbox
    from interlock.settings import load_settings, paths_of

    return given_sandbox(environ) or load_settings(paths_of(environ).config).sandbox or "full"


def _git(environ: Mapping[str, str]) -> DoctorResult:
    from interlock.process import capture, scrubbed
    from interlock.workspaces import check_version

    try:
        check_version(environ)
        version = capture(["git", "version"], env=scrubbed(environ)).out.decode("utf-8", "replace").strip()
    except InterlockError as error:
        return DoctorResult("git", "bad", str(error), Exit.INFRASTRUCTURE)
    return DoctorResult("git", "ok", f"{version} ({shutil.which('git', path=environ.get('PATH'))})")


def _settings(environ: Mapping[str, str]) -> DoctorResult:
    from interlock.settings import load_settings, paths_of

    try:
        config = paths_of(environ).config
        found = load_settings(config)
    except InterlockError as error:
        return DoctorResult("settings", "bad", str(error), Exit.USAGE)
    return DoctorResult(
        "settings", "ok", f"{config}: at most {found.slots} in parallel, {found.max_parallel} in one run"
    )


def _agents(environ: Mapping[str, str]) -> dict[str, str]:
    from interlock.conventions.programs import PROGRAMS
    from interlock.process import scrubbed

    path = scrubbed(environ).get("PATH")
    found = {program.name: shutil.which(program.name, path=path) for program in PROGRAMS}
    return {name: place for name, place in found.items() if place}


def _check_agents(agents: Mapping[str, str]) -> DoctorResult:
    from interlock.conventions.programs import PROGRAMS

    if agents:
        return DoctorResult("agents", "ok", ", ".join(f"{name} ({place})" for name, place in agents.items()))
    known = ", ".join(program.name for program in PROGRAMS)
    return DoctorResult("agents", "note", f"none of {known} is on the PATH; any command can be an agent")


def _live(name: str, cwd: Path, environ: Mapping[str, str], *, json: bool) -> int:
    """Call the agent of this name in a pipeline here, or the program of this name, once, in a sandbox as in a run, and
    print the outcome."""
    import time

    from interlock.agents import adapters
    from interlock.agents.probe import call_once
    from interlock.ports import Ended, sandbox_of
    from interlock.sandbox import require
    from interlock.service.formats import document, duration, usage

    _, root, _ = _repository(cwd, environ)
    spec, pipeline = _spec_of(name, root, environ)
    require(level := _wanted_sandbox(environ), environ)
    began = time.monotonic()
    outcome = call_once(adapters(environ, root or cwd)[spec.use], spec, environ, sandbox_of(pipeline, level))
    passed = time.monotonic() - began
    done = outcome.ended is Ended.COMPLETED
    if json:
        parts = {"agent": name, "ended": outcome.ended, "message": outcome.message, "model": outcome.model}
        say(document(**parts, usage=outcome.usage, seconds=passed))
    else:
        used = usage(outcome.usage) or "its usage is not known"
        model = f" ({outcome.model})" if outcome.model else ""
        words = f"{outcome.ended.replace('_', ' ')} in {duration(passed)}{model}, {used}"
        message = f": {outcome.message}" if outcome.message else ", without a message"
        say(_line(DoctorResult(f"agent {name}", "ok" if done else "bad", words + message)))
    return Exit.ACCEPTED if done else Exit.INFRASTRUCTURE


def _spec_of(name: str, root: Path | None, environ: Mapping[str, str]) -> tuple[AgentSpec, Pipeline]:
    from interlock.agents.probe import default_spec
    from interlock.core import pipeline as core
    from interlock.pipelinefile import find_pipelines, load_pipeline

    known: dict[str, tuple[AgentSpec, Pipeline]] = {}
    for path in find_pipelines(root).values() if root else ():
        pipeline = load_pipeline(path, root or path.parent).pipeline
        known |= {agent.name: (agent, pipeline) for agent in pipeline.agents}
    if name in known:
        return known[name]
    try:
        return default_spec(name, environ), core.Pipeline(name, ())
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
    """The author of commits."""
    from interlock.bootstrap import repository_of
    from interlock.cli.words import NO_IDENTITY
    from interlock.workspaces import identities_in

    try:
        author, _ = identities_in(repository_of(root, environ)[1], environ)
    except InterlockError as error:
        return DoctorResult("git identity", "bad", str(error), Exit.INFRASTRUCTURE)
    state, text = ("ok", f"commits are by {author}") if author else ("note", NO_IDENTITY)
    return DoctorResult("git identity", state, text)
