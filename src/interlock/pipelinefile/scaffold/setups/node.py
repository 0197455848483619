"""Node: npm, pnpm, Yarn and Bun, by the lock file. Rule: packages lie in `node_modules`, also where Yarn would do
without, and in that of each package of a workspace.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from interlock.pipelinefile.scaffold.found import Which
from interlock.pipelinefile.scaffold.setups.recipe import Recipe
from interlock.pipelinefile.sets import folder as look

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


def recipe(root: Path, which: Which) -> Recipe | None:
    package = look.json_object(root, "package.json")
    if not any(package.get(kind) for kind in ("dependencies", "devDependencies", "workspaces")):
        return _later(which) if look.has(root, "package.json") and not _has_lock(root) else None
    members = tuple(islice(workspace(root), PACKAGES_MAX))
    made = ("node_modules", *(f"{member}/node_modules" for member in members))
    lock, run, note = _install(root, which, str(package.get("packageManager", "")))
    lines = [run]
    if members:  # what has no packages of its own gets an empty folder, since each path must be there
        lines.append(f"mkdir -p {' '.join(map(shlex.quote, made))}")
    names = ("package.json", *(f"{member}/package.json" for member in members))
    patches = tuple(f"{name}/**" for name in ("patches", ".yarn/patches", ".yarn/plugins") if (root / name).is_dir())
    key = (*((lock,) if lock else ()), *names, *(name for name in _CONFIGURATION if look.has(root, name)), *patches)
    return Recipe("\n".join(lines), key, made, note=note)


def _has_lock(root: Path) -> bool:
    return any(look.has(root, lock) for lock, _ in _LOCKS)


def _later(which: Which) -> Recipe | None:
    """For a project that has no packages yet."""
    if not which("npm"):
        return None
    lines = [
        f"if [ -e package-lock.json ]; then {_NPM}; else {_UNLOCKED}; fi",
        "mkdir -p node_modules  # nothing is needed yet",
    ]
    return Recipe("\n".join(lines), ("package.json", "package-lock.json"), ("node_modules",), brings=False)


def workspace(root: Path) -> Iterator[str]:
    """The folders of the packages that belong to the workspace."""
    said = look.json_object(root, "package.json").get("workspaces")
    globs = look.table(said).get("packages") if isinstance(said, dict) else said
    listed = [str(glob) for glob in globs] if isinstance(globs, list) else []
    listed += re.findall(r"^\s*-\s*['\"]?([^'\"#\s]+)", look.text(root, "pnpm-workspace.yaml"), re.M)
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
    """Lock file, command and note."""
    for lock, run in _LOCKS:
        if not look.has(root, lock):
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
    return bool(look.has(root, ".yarnrc.yml")) or "__metadata:" in look.text(root, "yarn.lock")
