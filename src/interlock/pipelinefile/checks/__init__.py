"""Checks that compare two places of the file. One module per subject; each only adds mistakes.

`View` is what they work on: the pipeline, its places in the file, and its graph as far as it is valid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock.pipelinefile import repo
from interlock.pipelinefile.mistakes import Level, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path as FilePath

    from interlock.core.pipeline import CommandLine, Gate, Pipeline, Stage
    from interlock.pipelinefile.build import Draft
    from interlock.pipelinefile.models import GatePart, StagePart
    from interlock.pipelinefile.yaml import Path


@dataclass(frozen=True, slots=True)
class View:
    """`upstream` holds all stages that a stage depends on; `partial` the stages for which they are not all known."""

    draft: Draft
    pipeline: Pipeline
    upstream: Mapping[str, frozenset[str]]
    partial: frozenset[str]

    def error(self, path: Path, message: str, hint: str) -> None:
        self.draft.mistakes.add(self.draft.where.value(*path), message, hint)

    def at_key(self, path: Path, message: str, hint: str) -> None:
        self.draft.mistakes.add(self.draft.where.key(*path), message, hint)

    def warn(self, path: Path, message: str, hint: str) -> None:
        self.draft.mistakes.add(self.draft.where.key(*path), message, hint, Level.WARNING)

    def later(self, path: Path, message: str, hint: str) -> None:
        self.draft.mistakes.add(self.draft.where.key(*path), message, hint, Level.LATER)

    def confined(self, path: Path, message: str, hint: str) -> None:
        self.draft.mistakes.add(self.draft.where.key(*path), message, hint, Level.CONFINED)

    def is_broken(self, *path: str | int) -> bool:
        return self.draft.parsed.is_broken(*path)

    def has(self, *path: str | int) -> bool:
        return self.draft.where.has(*path)

    def is_included(self, *path: str | int) -> bool:
        """Whether it stands in an included file, which other pipelines may share."""
        where = self.draft.where
        return where.key(*path).file != where.root.mark.file

    @property
    def root(self) -> FilePath:
        return self.draft.sources.root

    def unknown_agent(self, name: str) -> str:
        """A hint if there is no such agent, else empty."""
        known = self.declared("agents")
        return "" if name in known else nearest(name, known, f"define {name} under agents")

    def documents(self, stage: Stage) -> set[str]:
        """STAGE/NAME of every artifact of the stage and those upstream of it."""
        names = {*self.upstream[stage.id], stage.id}
        return {f"{one.id}/{made.name}" for one in self.pipeline.stages if one.id in names for made in one.produces}

    def files(self) -> tuple[str, ...]:
        """The repository's files, as paths from its root."""
        return tuple(repo.files(self.root))

    def nearest(self, word: str, known: set[str], otherwise: str) -> str:
        return nearest(word, known, otherwise)

    def declared(self, section: str) -> frozenset[str]:
        return self.draft.parsed.declared.get(section, frozenset())

    def stages(self) -> Iterator[tuple[Stage, StagePart]]:
        for stage in self.pipeline.stages:
            yield stage, self.draft.file.stages[stage.id]

    def gates(self) -> Iterator[tuple[Stage, Gate, GatePart, Path]]:
        """The gates that the file lists, each with its place."""
        for stage, part in self.stages():
            own = stage.gates[len(stage.gates) - len(part.gates) :]
            for index, (gate, written) in enumerate(zip(own, part.gates, strict=True)):
                yield stage, gate, written, ("stages", stage.id, "gates", index)


def check(view: View) -> None:
    from interlock.pipelinefile.checks import agents, artifacts, gates, scopes, stages  # lazy: they import from here

    for subject in (stages, agents, gates, scopes, artifacts):
        subject.check(view)


def view_of(draft: Draft, pipeline: Pipeline) -> View:
    needs = {stage.id: [need for need in stage.needs if need in draft.file.stages] for stage in pipeline.stages}
    upstream = {stage: frozenset(_reached(stage, needs)) for stage in needs}
    unsure = {stage.id for stage in pipeline.stages if _is_unsure(draft, stage)}
    partial = frozenset(stage for stage in needs if unsure & {stage, *upstream[stage]})
    return View(draft, pipeline, upstream, partial)


def _is_unsure(draft: Draft, stage: Stage) -> bool:
    lost = draft.parsed.is_broken("stages", stage.id) and not stage.needs
    return lost or any(need not in draft.file.stages for need in stage.needs)


def _reached(start: str, needs: Mapping[str, list[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(needs[start])
    while waiting:
        stage = waiting.pop()
        if stage not in reached:
            reached.add(stage)
            waiting.extend(needs[stage])
    return reached


_TEMPLATE = re.compile(r"\{\{-?\s*(task|inputs|run|stage|artifacts|feedback|item)\b([^}]*)")
_VARIABLES = {
    "task": "$TASK", "inputs": "$INPUT_NAME", "run": "$INTERLOCK_RUN", "stage": "$INTERLOCK_STAGE",
    "artifacts": "$ARTIFACT_STAGE_NAME", "feedback": "the brief", "item": "$ITEM",
}  # fmt: skip


def check_variables(view: View, at: Path, env: tuple[str, ...], secrets: tuple[str, ...]) -> None:
    """Environment variables that are passed on by name are listed once, either as `env` or as `secrets`."""
    for key, names in (("env", env), ("secrets", secrets)):
        for index, name in enumerate(names):
            if name in names[:index]:
                view.error((*at, key, index), f"{name} is listed twice", "name it once")
    for index, name in enumerate(secrets):
        if name in env:
            view.error((*at, "secrets", index), f"{name} is listed under env too", "keep it under secrets alone")


def check_no_template(view: View, command: CommandLine | None, path: Path) -> None:
    """A command has no templates: so no shell ever parses what an agent wrote."""
    words = (command.shell, *command.argv) if command else ()
    for word in words:
        if found := _TEMPLATE.search(word):
            hint = f"commands get values as environment variables: write {_variable(found)}"
            view.error(path, f"a template in a command ({found.group().strip()} ...)", hint)
            return


def _variable(found: re.Match[str]) -> str:
    name, rest = found.groups()
    words = [part.upper() for part in re.findall(r"\w+", rest.replace("-", "_"))]
    if name == "inputs" and words:
        return f'"$INPUT_{words[0]}"'
    if name == "artifacts" and len(words) > 1:
        return f'"$ARTIFACT_{words[0]}_{words[1]}"'
    return f'"{_VARIABLES[name]}"' if _VARIABLES[name].startswith("$") else _VARIABLES[name]
