"""Which pipeline a verb is about, its mistakes as lines, and what `doctor` finds of all.

Rule: a mistake is `file:line:column: what: what would be right`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.diagnosis import DoctorResult
from interlock.cli.exits import Exit
from interlock.pipelinefile import (
    InvalidPipeline,
    Level,
    Loaded,
    Mistake,
    find_pipelines,
    load_pipeline,
    locate_pipeline,
)
from interlock.ports import InterlockError, UsageError
from interlock.text.cleaning import plain

if TYPE_CHECKING:
    from interlock.core.pipeline import AgentSpec, Pipeline

_LINE_MAX = 2_000  # characters


def repository_here() -> Path:
    """The root of the working tree around the current folder. Raises UsageError."""
    from interlock.bootstrap import repository_of  # lazy: `--help` of a verb does not need it

    try:
        return repository_of(Path.cwd(), os.environ)[0]
    except FileNotFoundError as error:
        raise UsageError("the current folder no longer exists: change to one that does") from error


def chosen(position: str, option: str) -> str:
    """The pipeline that is named by position or by `-p`. Raises UsageError if both name one."""
    if position and option:
        raise UsageError(f"{position} and -p {option} both name a pipeline: give one of them")
    return position or option


def locate(root: Path, name: str, rest: str = "") -> Path:
    """The file of `-p NAME|PATH`; a path is looked for in the current folder, then at the root. Raises UsageError with
    the command to type if a name is needed; `rest` is the end of that command."""
    if name.endswith((".yaml", ".yml")) and (Path.cwd() / name).is_file():
        return Path(os.path.normpath(Path.cwd() / name))
    return locate_pipeline(root, name, _command(), rest)


def locate_all(root: Path, name: str) -> list[Path]:
    """The file of `-p`; without it every pipeline of the repository. Raises UsageError if there is none."""
    found = list(find_pipelines(root).values())
    return found if found and not name else [locate(root, name)]


def load(root: Path, name: str, rest: str = "") -> Loaded:
    """Raises UsageError, or InvalidPipeline with all mistakes."""
    return load_pipeline(locate(root, name, rest), root)


def load_all(root: Path, name: str) -> list[Loaded]:
    """The pipeline of `-p`; without it every one of the repository. Raises UsageError, or InvalidPipeline."""
    return [load_pipeline(path, root) for path in locate_all(root, name)]


def line(mistake: Mistake) -> str:
    """As compilers write it. A warning, or a feature of a later version, says so after its place."""
    level = "" if mistake.level is Level.ERROR else f"{mistake.level.value}: "
    where = f"{mistake.file}:{mistake.line}:{mistake.column}"
    return _flat(f"{where}: {level}{mistake.message}: {mistake.hint}")


def lines(mistakes: Iterable[Mistake]) -> list[str]:
    return [line(mistake) for mistake in mistakes]


def worst_case(pipeline: Pipeline, stages: Iterable[str] = ()) -> dict[str, int]:
    """The most attempts that each stage with a worker can take: its own limit in each epoch, and one more epoch for
    each goto that resets it. `stages` are those that take part; empty means all."""
    names = tuple(stages) or tuple(stage.id for stage in pipeline.ordered())
    epochs = dict.fromkeys(names, 1)
    for rule in (rule for name in names for rule in pipeline.stage(name).on_reject if rule.goto):
        for reset in pipeline.downstream(rule.goto):
            if reset in epochs:
                epochs[reset] += rule.max
    return {name: epochs[name] * pipeline.stage(name).attempts_max for name in names if pipeline.stage(name).has_worker}


def reviews_worst(pipeline: Pipeline, worst: Mapping[str, int]) -> int:
    """The most reviews there can be: each reviewer for every attempt, if each answers as the schema wants."""
    asked = ((stage, gate.options) for stage in worst for gate in pipeline.stage(stage).gates)
    return sum(worst[stage] * len(options.agents) for stage, options in asked if options is not None)


def _command() -> str:
    """The verb as it was typed."""
    context = click.get_current_context(silent=True)
    return context.command_path if context is not None else "interlock run"


def _flat(text: str) -> str:
    return " ".join(plain(text, _LINE_MAX).split())


# --- what the doctor reads of them ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PipelineRead:
    """A pipeline file of the repository. `loaded` is None if it has `mistakes`."""

    name: str
    loaded: Loaded | None
    mistakes: int = 0


def read_pipelines(root: Path) -> list[PipelineRead]:
    read = []
    for path in find_pipelines(root).values():
        name = str(path.relative_to(root))
        try:
            read.append(PipelineRead(name, load_pipeline(path, root)))
        except InvalidPipeline as error:
            read.append(PipelineRead(name, None, sum(mistake.level == "error" for mistake in error.mistakes)))
    return read


def check_pipelines(pipelines: Sequence[PipelineRead]) -> Iterator[DoctorResult]:
    """Whether each is valid; the agents that are still to be filled in, and what a sandbox cannot show, each once."""
    from interlock.service.formats import count

    if not pipelines:
        yield DoctorResult("pipelines", "note", "none yet: `interlock init` writes some")
    for one in pipelines:
        if one.loaded is None:
            text = f"{one.name}: {count(one.mistakes, 'mistake')}: run interlock validate"
            yield DoctorResult("pipeline", "bad", text, Exit.USAGE)
        else:
            yield DoctorResult("pipeline", "ok", f"{one.name} is valid")
    findings = [each for one in pipelines if one.loaded is not None for each in one.loaded.findings]
    unfilled = {line(each) for each in findings if each.message.startswith("none of its agents is installed")}
    yield from (DoctorResult("agent", "note", text) for text in sorted(unfilled))
    unread = dict.fromkeys(line(each) for each in findings if each.message.startswith("sandbox: read: there is no"))
    yield from (DoctorResult("pipeline", "warn", text) for text in unread)


def check_held_out(root: Path, environ: Mapping[str, str], pipelines: Sequence[PipelineRead]) -> Iterator[DoctorResult]:
    """The held-out files that settings and environment know, and those that the pipelines name."""
    from interlock.gates.held_out import HeldOut, HeldOutMissing
    from interlock.settings import load_settings, paths_of
    from interlock.text.names import is_name

    try:
        known = HeldOut(load_settings(paths_of(environ).config).held_out, environ, root)
    except InterlockError:
        return  # reported with the settings
    needed: dict[str, list[str]] = {}
    for stage in (stage for one in pipelines if one.loaded is not None for stage in one.loaded.pipeline.stages):
        for gate in (gate for gate in stage.gates if gate.held_out):
            needed.setdefault(gate.held_out, []).append(f"{stage.id}/{gate.id}")
    for name in sorted({*known.names(), *filter(is_name, needed)}):
        try:
            yield DoctorResult("held out", "ok", f"{name}: {known.source(name)}")
        except HeldOutMissing as error:
            users = f" ({', '.join(needed[name])} cannot be judged)" if name in needed else ""
            yield DoctorResult("held out", "bad" if users else "note", f"{name}: {error}{users}", Exit.USAGE)


def agents_of(pipelines: Sequence[PipelineRead]) -> tuple[AgentSpec, ...]:
    """The agents of the valid pipelines, each once."""
    return tuple(
        dict.fromkeys(agent for one in pipelines if one.loaded is not None for agent in one.loaded.pipeline.agents)
    )
