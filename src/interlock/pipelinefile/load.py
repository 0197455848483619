"""Loads a pipeline file into the frozen pipeline. Rule: all mistakes are reported at once, each with its place.

The steps: text to tree (with includes), tree to model, model to pipeline, then the checks that compare two places of
the file. What is broken in one step is left out of the next.
Pipelines are in `interlock.yaml` at the root of a repository, and in `.interlock/pipelines/NAME.yaml`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.core.pipeline import AgentSpec
from interlock.pipelinefile.mistakes import InvalidPipeline, Level, Mistake, Mistakes, nearest
from interlock.ports import UsageError

if TYPE_CHECKING:
    from interlock.core.pipeline import Pipeline
    from interlock.pipelinefile.sources import Sources
    from interlock.pipelinefile.yaml import Mapping

MARK = "interlock-agent-not-chosen"
LINE = (
    f"echo '{MARK}: put the line that starts your coding agent here, in .interlock/common.yaml under agents"
    " (the brief is on standard input, and in the file $BRIEF)' >&2; exit 127"
)
MESSAGE = "none of its agents is installed"
HINT = "write the line that starts your coding agent; the brief is on its standard input, and in the file $BRIEF"


def is_unfilled(agent: AgentSpec) -> bool:
    """Whether the agent is still the placeholder that `init` writes if it finds no program."""
    return agent.command is not None and MARK in agent.command.shell


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid pipeline. `findings` are warnings and what is not supported yet. `confined` is what only the sandbox
    `full` can hold."""

    pipeline: Pipeline
    findings: tuple[Mistake, ...] = ()
    confined: tuple[Mistake, ...] = ()


def load_pipeline(path: Path, root: Path, *, name: str = "") -> Loaded:
    """Load the pipeline in file `path` of the repository at `root`. Its name is `name`, else the one in the file, else
    that of the file. Raises InvalidPipeline with all mistakes."""
    from interlock.pipelinefile.sources import Sources, read_tree  # lazy: it reads YAML

    mistakes = Mistakes()
    sources = Sources(root, mistakes)
    file = _relative(path, root)
    pipeline = None
    try:
        tree = read_tree(file, sources, mistakes)
        pipeline = _load(tree, sources, mistakes, name or None) if tree else None
    except InvalidPipeline as error:
        mistakes.extend(error.mistakes)
    listed = mistakes.listed(file)
    confined = tuple(each for each in listed if each.level is Level.CONFINED)
    found = tuple(each for each in listed if each.level is not Level.CONFINED)
    if pipeline is None or mistakes.fatal:
        raise InvalidPipeline(found)
    return Loaded(pipeline, found, confined)


def require_confined(loaded: Loaded, level: str) -> None:
    """Raises UsageError if the sandbox of this level cannot hold what the pipeline needs."""
    if level != "full" and loaded.confined:
        raise UsageError("\n".join(map(str, loaded.confined)))


def require_runnable(loaded: Loaded) -> None:
    """Raises UsageError if the pipeline needs what this version does not support yet, or an agent is a placeholder."""
    later = [str(finding) for finding in loaded.findings if finding.level is Level.LATER]
    if later:
        raise UsageError("this pipeline is valid, but cannot be run yet:\n" + "\n".join(later))
    used = {
        name for stage in loaded.pipeline.stages for name in (stage.agent, *(rule.agent for rule in stage.on_reject))
    }
    missing = [agent for agent in loaded.pipeline.agents if agent.name in used and is_unfilled(agent)]
    if missing and not all(agent.fallback for agent in missing):
        raise UsageError("\n".join(str(finding) for finding in loaded.findings if finding.message.startswith(MESSAGE)))


def _load(tree: Mapping, sources: Sources, mistakes: Mistakes, name: str | None) -> Pipeline | None:
    from interlock.pipelinefile.build import Draft, build, with_digests  # lazy: pydantic is slow to import
    from interlock.pipelinefile.checks import check, view_of
    from interlock.pipelinefile.protected import protect_judge_files
    from interlock.pipelinefile.shape import shape

    parsed = shape(tree, mistakes)
    if parsed is None:
        return None
    draft = Draft(parsed, sources, mistakes)
    pipeline = build(draft, name or parsed.file.name or _stem(tree.mark.file))
    check(view_of(draft, pipeline))
    files = tuple(path for path, _ in sources.listed())
    return with_digests(protect_judge_files(pipeline, files, sources.root))


def _relative(path: Path, root: Path) -> str:
    full, base = path.absolute(), root.absolute()
    if not full.is_relative_to(base):
        full, base = path.resolve(), root.resolve()
    if not full.is_relative_to(base):
        hint = "keep the pipeline in interlock.yaml or in .interlock/pipelines/"
        raise InvalidPipeline((Mistake(str(path), 1, 1, f"it is outside the repository at {root}", hint),))
    return os.path.normpath(full.relative_to(base))


def _stem(file: str) -> str:
    stem = os.path.basename(file).rsplit(".", 1)[0].lower()  # noqa: PTH119
    return re.sub(r"[^a-z0-9_-]", "-", stem).lstrip("-_0123456789") or "pipeline"


ROOT_NAME = "interlock"  # the name of the pipeline at the root


def find_pipelines(root: Path) -> dict[str, Path]:
    """The pipeline files by name (that of the file without its suffix): the one at the root first, then by name."""
    found = {}
    if (root / "interlock.yaml").is_file():
        found[ROOT_NAME] = root / "interlock.yaml"
    folder = root / ".interlock" / "pipelines"
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
        if path.is_file():
            found.setdefault(path.stem, path)
    return found


def locate_pipeline(root: Path, choice: str = "", command: str = "interlock run", rest: str = "") -> Path:
    """The file of `-p NAME`, of `-p PATH` (relative to the current folder or to the root), or of the only pipeline.
    Raises UsageError, which shows how to choose one with `command`; `rest` are the arguments behind that."""
    found = find_pipelines(root)
    if choice in found:
        return found[choice]
    if choice:
        return _by_path(root, choice, found)
    if not found:
        raise UsageError(f"there is no pipeline in {root}: run `interlock init`, or write interlock.yaml")
    if len(found) > 1 and ROOT_NAME not in found:
        names = sorted(found)
        example = " ".join(filter(None, (command, "-p", names[-1], rest)))
        raise UsageError(f"there is more than one pipeline ({', '.join(names)}): choose one, as in `{example}`")
    return next(iter(found.values()))


def _by_path(root: Path, choice: str, found: dict[str, Path]) -> Path:
    for path in (Path.cwd() / choice, root / choice):
        if ("/" in choice or choice.endswith((".yaml", ".yml"))) and path.is_file():
            return path
    hint = nearest(choice, found, "run `interlock init` to get some")
    raise UsageError(f"there is no pipeline {choice}: {hint}")
