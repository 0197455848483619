"""The section of a brief with the project's own instructions, and its skills laid beside the place.

Rule: all of it is read from the base's commit, so that no work of the run has a say in it, whatever the checkout holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from interlock.conventions.instructions import (
    FILE_BYTES_MAX,
    SKILLS_MAX,
    Skill,
    globs,
    in_order,
    is_skill,
    section,
    skill,
)
from interlock.core.effects import StartAttempt
from interlock.core.pipeline import Pipeline, Stage
from interlock.execution.context import Context
from interlock.ports import Checkout, UsageError, World

_FILES_MAX = 300  # of one skill


class Base(Protocol):
    """The base's commit."""

    def files(self, globs: Sequence[str]) -> tuple[str, ...]: ...

    def read(self, path: str, max_bytes: int) -> bytes | None: ...


Lay = Callable[[str, bytes], str]  # a file beside the place by its name there, and where it then is


def instructions(world: World, context: Context, effect: StartAttempt, checkout: Checkout) -> str:
    """The section's text, empty where the project has none or the pipeline wants none."""
    if not context.started.base_commit:
        return ""
    base = _Imported(world, context.started.base_commit)
    stage = context.pipeline.stage(effect.attempt.stage)
    return told(base, context.pipeline, stage, effect.agent, lambda name, content: base.lay(checkout, name, content))


def told(base: Base, pipeline: Pipeline, stage: Stage, agent: str, lay: Lay) -> str:
    """The same of any base."""
    about = next((one for one in pipeline.agents if one.name == agent), None)
    named = stage.instructions if stage.instructions is not None or about is None else about.instructions
    if named == ():
        return ""
    paths = in_order(base.files(globs(named, stage.dir)))
    texts = {path: _text(base, path) for path in paths if not is_skill(path)}
    return section(texts, tuple(_skills(base, [path for path in paths if is_skill(path)], lay)))


@dataclass(frozen=True, slots=True)
class _Imported:
    world: World
    commit: str

    def files(self, globs: Sequence[str]) -> tuple[str, ...]:
        return self.world.workspaces.files(self.commit, globs)

    def read(self, path: str, max_bytes: int) -> bytes | None:
        return self.world.workspaces.read(self.commit, path, max_bytes)

    def lay(self, checkout: Checkout, name: str, content: bytes) -> str:
        return checkout.seen(self.world.workspaces.put_beside(checkout, name, content))


def _skills(base: Base, paths: list[str], lay: Lay) -> Iterator[Skill]:
    """Each with all its files beside the place: programs differ in what they see of the checkout."""
    for number, path in enumerate(paths[:SKILLS_MAX]):
        folder = path.rpartition("/")[0]
        beside = f"skills/{number}-{folder.rpartition('/')[2]}"
        laid = ""
        for file in base.files((f"/{folder}/**",))[:_FILES_MAX]:
            put = lay(f"{beside}/{file.removeprefix(f'{folder}/')}", _content(base, file))
            laid = put if file == path else laid
        if laid:
            yield skill(path, _text(base, path), laid)
    yield from (Skill("", "", path) for path in paths[SKILLS_MAX:])


def _text(base: Base, path: str) -> str:
    return _content(base, path).decode("utf-8", "replace")


def _content(base: Base, path: str) -> bytes:
    try:
        return base.read(path, FILE_BYTES_MAX) or b""
    except UsageError:  # too large to be an instruction
        return b""
