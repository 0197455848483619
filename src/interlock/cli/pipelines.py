"""Which pipeline a verb is about, and its mistakes as lines. Rule: `file:line:column: what: what would be right`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.pipelinefile import Level, Loaded, Mistake, find_pipelines, load_pipeline, locate_pipeline
from interlock.ports import UsageError
from interlock.text.cleaning import plain

if TYPE_CHECKING:
    from interlock.core.pipeline import Pipeline

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
