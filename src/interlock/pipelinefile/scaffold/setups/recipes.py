"""What a setup recipe is, and the recipes of Node, Go and Rust, by lock file. Rule: packages are in the checkout: in
`node_modules` of each package of a workspace (Yarn's own way without that folder is switched off), `vendor`, or
`.cargo-home`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from interlock.pipelinefile import repo
from interlock.pipelinefile.repo import Which

PACKAGES_MAX = 100  # of a workspace
_NPM = "npm ci --no-audit --no-fund"
_UNLOCKED = "npm install --no-package-lock --no-audit --no-fund"
_LOCKS = (
    ("pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
    ("yarn.lock", "yarn install --frozen-lockfile"),
    ("bun.lock", "bun install --frozen-lockfile"),
    ("bun.lockb", "bun install --frozen-lockfile"),
    ("package-lock.json", _NPM),
    ("npm-shrinkwrap.json", _NPM),
)
_BERRY = "yarn install --immutable"
_CONFIGURATION = (".npmrc", ".yarnrc.yml", ".yarnrc", "pnpm-workspace.yaml", ".pnpmfile.cjs", "bunfig.toml")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One item of `setup`. `note` is a line for the user, if there is something to know. `brings`: it installs
    packages; if not, the project needs none yet, and tools are those of the machine."""

    run: str
    key: tuple[str, ...]
    paths: tuple[str, ...]
    settle: str = ""
    note: str = ""
    brings: bool = True


def in_folder(recipe: Recipe, part: str) -> Recipe:
    """The recipe of a folder, rewritten to run at the root of the repository."""
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
    if repo.has(root, "go.work") and not repo.has(root, "vendor"):
        return Recipe("go work vendor", ("go.work", "go.work.sum", "**/go.mod", "**/go.sum"), ("vendor",))
    if repo.has(root, "go.sum") and not repo.has(root, "vendor"):
        return Recipe("go mod vendor", ("go.mod", "go.sum", "**/*.go"), ("vendor",))
    return None


def rust(root: Path, _which: Which) -> Recipe | None:
    locked = bool(repo.has(root, "Cargo.lock"))
    content = repo.text(root, "Cargo.lock" if locked else "Cargo.toml")
    if not re.search(r"^source = " if locked else r"dependencies", content, re.M):
        return None
    fetch = 'CARGO_HOME="$PWD/.cargo-home" cargo fetch'
    if locked:
        return Recipe(f"{fetch} --locked", ("Cargo.lock", "**/Cargo.toml"), (".cargo-home",))
    return Recipe(fetch, ("**/Cargo.toml",), (".cargo-home", "Cargo.lock"))


def node(root: Path, which: Which) -> Recipe | None:
    package = repo.json_object(root, "package.json")
    if not any(package.get(kind) for kind in ("dependencies", "devDependencies", "workspaces")):
        return _empty_recipe(which) if repo.has(root, "package.json") and not _has_lock(root) else None
    members = tuple(islice(workspace(root), PACKAGES_MAX))
    made = ("node_modules", *(f"{member}/node_modules" for member in members))
    lock, run, note = _install(root, which, str(package.get("packageManager", "")))
    lines = [run]
    if members:  # a package without dependencies gets an empty folder: each path must exist
        lines.append(f"mkdir -p {' '.join(map(shlex.quote, made))}")
    names = ("package.json", *(f"{member}/package.json" for member in members))
    patches = tuple(f"{name}/**" for name in ("patches", ".yarn/patches", ".yarn/plugins") if (root / name).is_dir())
    key = (*((lock,) if lock else ()), *names, *(name for name in _CONFIGURATION if repo.has(root, name)), *patches)
    return Recipe("\n".join(lines), key, made, note=note)


def _has_lock(root: Path) -> bool:
    return any(repo.has(root, lock) for lock, _ in _LOCKS)


def _empty_recipe(which: Which) -> Recipe | None:
    """The recipe of a project that needs no packages yet."""
    if not which("npm"):
        return None
    lines = [
        f"if [ -e package-lock.json ]; then {_NPM}; else {_UNLOCKED}; fi",
        "mkdir -p node_modules  # nothing is needed yet",
    ]
    return Recipe("\n".join(lines), ("package.json", "package-lock.json"), ("node_modules",), brings=False)


def workspace(root: Path) -> Iterator[str]:
    """The folders of the workspace's packages."""
    said = repo.json_object(root, "package.json").get("workspaces")
    globs = repo.table(said).get("packages") if isinstance(said, dict) else said
    listed = [str(glob) for glob in globs] if isinstance(globs, list) else []
    listed += re.findall(r"^\s*-\s*['\"]?([^'\"#\s]+)", repo.text(root, "pnpm-workspace.yaml"), re.M)
    seen = set()
    for glob in listed:
        if glob.startswith(("!", "/")) or ".." in glob or glob in (".", "./"):
            continue
        for manifest in sorted(root.glob(f"{glob.rstrip('/')}/package.json")):
            folder = manifest.parent.relative_to(root).as_posix()
            if "node_modules" not in folder and folder not in seen:
                seen.add(folder)
                yield folder


def _install(root: Path, which: Which, manager: str) -> tuple[str, str, str]:
    """The lock file, the install command, and a note."""
    for lock, run in _LOCKS:
        if not repo.has(root, lock):
            continue
        program = run.split()[0]
        words = _BERRY if program == "yarn" and _is_berry(root, manager) else run
        note = ""
        if not which(program):
            if program in ("yarn", "pnpm") and which("corepack"):
                words = f"corepack {words}"
            else:
                note = f"there is a {lock}, but no {program} on PATH: setup needs it"
        return lock, f"YARN_NODE_LINKER=node-modules {words}" if "immutable" in words else words, note
    note = "package.json has no lock file: its packages may differ from one day to the next"
    return "", _UNLOCKED, note


def _is_berry(root: Path, manager: str) -> bool:
    if manager.startswith("yarn@"):
        return not manager.startswith(("yarn@1.", "yarn@0."))
    return bool(repo.has(root, ".yarnrc.yml")) or "__metadata:" in repo.text(root, "yarn.lock")
