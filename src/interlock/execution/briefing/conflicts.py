"""What merging could not do, and how the stage that joins decides it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from interlock.core.effects import StartAttempt
from interlock.core.globs import matches_any
from interlock.core.joins import DECISIONS, DELETED, EDITED, choices, described
from interlock.core.judge_files import matches_in_any_case
from interlock.core.pipeline import ARTIFACTS, Stage
from interlock.core.reconciled import may_hold_both
from interlock.core.text import without_place
from interlock.gates.words import bullets, path_here


def conflicts(stage: Stage, effect: StartAttempt) -> str:
    """All of it: an attempt that does not know of one cannot decide it."""
    return "\n\n".join((*_conflicts(stage, effect), *_broken(stage, effect)))


def _conflicts(stage: Stage, effect: StartAttempt) -> Iterator[str]:
    if not effect.conflicts:
        return
    names = [name for name, _ in effect.sides]
    of = f" of {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else ""
    yield f"You start from a merge{of}, which are in conflict."
    bare = {item.path for item in effect.undecided if not item.marked}
    marked = [path for path in effect.conflicts if path not in bare]
    if marked:
        yield "Merging left markers in these files. Merge both sides and remove the markers:\n" + bullets(
            path_here(stage.dir, path) for path in marked
        )
    held = [path for path in marked if _is_held(stage, path)]
    if held:
        both = ", or keep every line of both sides and add nothing"
        yield "These of them are protected. Take each as one side has it:\n" + bullets(
            f"{path_here(stage.dir, path)}{both if may_hold_both(path) else ''}" for path in held
        )
    if effect.undecided:
        yield "These paths have no markers that show the conflict. Decide each:\n" + bullets(
            f"{path_here(stage.dir, item.path)}: {described(item)}. Now it is {item.left}." for item in effect.undecided
        )
        yield _how_to_decide(stage, effect)
    if names:
        branches = ", ".join(f"`from/{name}`" for name in names)
        yield (
            f"Each side is a branch here ({branches}): `git checkout from/{names[0]} -- PATH` takes its version, and"
            f" `git diff -M from/{names[0]} from/{names[-1]}` shows what was moved elsewhere."
        )


def _broken(stage: Stage, effect: StartAttempt) -> Iterator[str]:
    if effect.broken:
        yield "The merged files fail checks, before any work of yours:\n" + bullets(
            f"{_place(stage, item.file, item.line)}{without_place(item.message, item.file, item.line)}"
            for item in effect.broken
        )


def _place(stage: Stage, file: str, line: int) -> str:
    here = path_here(stage.dir, file)
    return f"{here}:{line}: " if line else f"{here}: " if here else ""


def _is_held(stage: Stage, path: str) -> bool:
    authors = [glob for glob in stage.scope.authors if "#" not in glob]
    return matches_in_any_case(stage.scope.protect, path) and not matches_any(authors, path)


def _how_to_decide(stage: Stage, effect: StartAttempt) -> str:
    file = path_here(stage.dir, f"{ARTIFACTS}/{stage.id}/{DECISIONS}")
    options = ", ".join(f"{json.dumps(item.path)}: {' | '.join(map(json.dumps, choices(item)))}"
                        for item in effect.undecided)  # fmt: skip
    return (
        f"Make each of them as it should be, and write what you decided into `{file}`: a JSON object with one entry for"
        " each path from the root. The name of a stage means that the path is exactly as that stage left it;"
        f' "{DELETED}", that no file is there; "{EDITED}", that you made the file of both. The choices:\n'
        f"```\n{{{options}}}\n```\nWhat is not decided there, or not as decided, is not taken."
    )
