"""The section of a brief with the project's own instructions, and its skills laid beside the place.

Rule: all of it is read from the base's commit, so that no work of the run has a say in it, whatever the checkout holds.
"""

from __future__ import annotations

from collections.abc import Iterator

from interlock.core.commands import StartAttempt
from interlock.core.instructions import FILE_BYTES_MAX, SKILLS_MAX, Skill, globs, in_order, is_skill, section, skill
from interlock.execution.context import Context
from interlock.ports import Place, UsageError, World

_FILES_MAX = 300  # of one skill


def instructions(world: World, context: Context, command: StartAttempt, place: Place) -> str:
    """The section's text, empty where the project has none or the pipeline wants none."""
    stage = context.pipeline.stage(command.attempt.stage)
    agent = next((one for one in context.pipeline.agents if one.name == command.agent), None)
    named = stage.instructions if stage.instructions is not None or agent is None else agent.instructions
    base = context.started.base_commit
    if not base or named == ():
        return ""
    paths = in_order(world.workspaces.files(base, globs(named, stage.dir)))
    texts = {path: _text(world, base, path) for path in paths if not is_skill(path)}
    return section(texts, tuple(_skills(world, base, [path for path in paths if is_skill(path)], place)))


def _skills(world: World, base: str, paths: list[str], place: Place) -> Iterator[Skill]:
    """Each with all its files beside the place: programs differ in what they see of the checkout."""
    for number, path in enumerate(paths[:SKILLS_MAX]):
        folder = path.rpartition("/")[0]
        beside = f"skills/{number}-{folder.rpartition('/')[2]}"
        laid = ""
        for file in world.workspaces.files(base, (f"/{folder}/**",))[:_FILES_MAX]:
            content = _content(world, base, file)
            put = world.workspaces.put_beside(place, f"{beside}/{file.removeprefix(f'{folder}/')}", content)
            laid = str(put) if file == path else laid
        if laid:
            yield skill(path, _text(world, base, path), laid)
    yield from (Skill("", "", path) for path in paths[SKILLS_MAX:])


def _text(world: World, base: str, path: str) -> str:
    return _content(world, base, path).decode("utf-8", "replace")


def _content(world: World, base: str, path: str) -> bytes:
    try:
        return world.workspaces.read(base, path, FILE_BYTES_MAX) or b""
    except UsageError:  # too large to be an instruction
        return b""
