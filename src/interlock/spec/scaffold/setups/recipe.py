"""What a setup recipe is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Recipe:
    """One item of `setup`. `note` is for the user, where there is something to know. `brings`: packages, already; else
    the project needs none yet, and tools are those of the machine."""

    run: str
    key: tuple[str, ...]
    paths: tuple[str, ...]
    settle: str = ""
    note: str = ""
    brings: bool = True


def moved(recipe: Recipe, part: str) -> Recipe:
    """The recipe of a folder of the repository, as it is written at the root."""
    if not part:
        return recipe
    enter = f"cd {shlex.quote(part)}\n"
    return replace(
        recipe,
        run=enter + recipe.run,
        key=tuple(f"{part}/{each}" for each in recipe.key),
        paths=tuple(f"{part}/{each}" for each in recipe.paths),
        settle=enter + recipe.settle if recipe.settle else "",
        note=f"{part}: {recipe.note}" if recipe.note else "",
    )
