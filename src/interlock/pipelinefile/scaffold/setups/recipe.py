"""What a setup recipe is; and those of Go and Rust, whose modules and crates are fetched into the checkout."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.pipelinefile.scaffold.found import Which
from interlock.pipelinefile.sets import folder as look


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


def go(root: Path, _which: Which) -> Recipe | None:
    if look.has(root, "go.work") and not look.has(root, "vendor"):
        return Recipe("go work vendor", ("go.work", "go.work.sum", "**/go.mod", "**/go.sum"), ("vendor",))
    if look.has(root, "go.sum") and not look.has(root, "vendor"):
        return Recipe("go mod vendor", ("go.mod", "go.sum", "**/*.go"), ("vendor",))
    return None


def rust(root: Path, _which: Which) -> Recipe | None:
    locked = bool(look.has(root, "Cargo.lock"))
    content = look.text(root, "Cargo.lock" if locked else "Cargo.toml")
    if not re.search(r"^source = " if locked else r"dependencies", content, re.M):
        return None
    fetch = 'CARGO_HOME="$PWD/.cargo-home" cargo fetch'
    if locked:
        return Recipe(f"{fetch} --locked", ("Cargo.lock", "**/Cargo.toml"), (".cargo-home",))
    return Recipe(fetch, ("**/Cargo.toml",), (".cargo-home", "Cargo.lock"))
