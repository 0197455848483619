"""The paths that setup leaves: cleared of what the tree has there, so that a tool never comes from a candidate.

Rule: what setup made replaces, it is never merged. Nothing is written, moved or removed through a symbolic link.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from interlock.core.pipeline import Setup
from interlock.ports import InfrastructureError
from interlock.ports.disk import disk_error
from interlock.process import capture
from interlock.workspaces.removal import remove


class MisplacedPath(Exception):
    """What setup is to leave, or what is carried in, cannot lie there. The text says why."""


def setup_paths(setups: Sequence[Setup]) -> frozenset[bytes]:
    """The paths that setup replaces, relative to the root."""
    return frozenset(os.fsencode(path.strip("/")) for setup in setups for path in setup.paths)


def clear_path(tree: Path, path: str) -> Path:
    """Remove whatever lies at `path` in the checkout `tree`, and return where that is. Raises MisplacedPath."""
    target = path_within(tree, path)
    remove(target)
    return target


def path_within(tree: Path, path: str) -> Path:
    """`tree/path`, of which every folder above is a real one or is not there. Raises MisplacedPath."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or parts[0] == ".git":
        raise MisplacedPath(f"{path!r} is no path below the root of the checkout: correct `paths`")
    at = tree
    for part in parts[:-1]:
        at /= part
        try:
            mode = at.lstat().st_mode
        except FileNotFoundError:
            break
        if not stat.S_ISDIR(mode):
            what = "a symbolic link" if stat.S_ISLNK(mode) else "no folder"
            where = at.relative_to(tree)
            raise MisplacedPath(f"{where} is {what}, and {path} is to lie below it: let {where} be a folder")
    return tree.joinpath(*parts)


def take_path(tree: Path, path: str, into: Path) -> None:
    """Move what setup left at `path` to the same place below `into`. Raises MisplacedPath and OSError."""
    source, target = path_within(tree, path), into / path
    if not source.exists() and not source.is_symlink():
        raise MisplacedPath(f"the command left no {source.name}, which `paths` names")
    if source.is_symlink() and not source.resolve().is_relative_to(tree.resolve()):
        raise MisplacedPath(f"{path} is a symbolic link out of the checkout: let setup leave a file or a folder there")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


def lay_path(made: Path, path: str, tree: Path, environ: Mapping[str, str]) -> None:
    """What was made, in place of what the checkout has. Raises MisplacedPath, InfrastructureError."""
    if (made / path).exists() or (made / path).is_symlink():
        copy_tree(made / path, clear_path(tree, path), environ)


def copy_tree(source: Path, target: Path, environ: Mapping[str, str]) -> None:
    """A copy with modes, times and symlinks, sharing no file with the source. `target` is not there yet. Raises
    InfrastructureError."""
    clone = ["-cRp"] if sys.platform == "darwin" else ["-a", "--reflink=auto", "-T"]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(target, error) from error
    done = capture(["cp", *clone, "--", str(source), str(target)], env=environ, timeout_s=1800)
    if done.code:
        raise InfrastructureError(f"{target}: cannot be copied: {done.err.decode(errors='replace').strip()[-500:]}")
