"""Closing a program off from the work: what it would obey in the checkout, and cannot be told to leave alone, is not
there while it runs.

Rule: what was moved comes back as it was when the program has ended, whatever then stands in its place. Git in the
checkout is told not to miss it. Nothing outside of the checkout is ever moved.

Text for programs that take `@path` in what they are told for an order to read that file.

Rule: what they are told holds the work under review, or what was wrong with it. No word of it may bring in a file.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from interlock.process import capture, scrubbed

_BELOW = "**/"


@contextmanager
def laid_aside(tree: Path, folder: str, patterns: Sequence[str], aside: Path) -> Iterator[None]:
    """Without the files and folders that match one of `patterns` in `folder` of the checkout or in one above it, or,
    of those that begin with `**/`, in any other folder, as long as the block lasts."""
    found = _found(tree, folder, patterns)
    if not found:
        yield
        return
    _unwatched(tree, found)
    aside.mkdir(parents=True, exist_ok=True)
    moved = [(tree / path, aside / str(number)) for number, path in enumerate(found)]
    for path, kept in moved:
        shutil.move(path, kept)
    try:
        yield
    finally:
        for path, kept in reversed(moved):
            _put_back(tree, path, kept)


def _found(tree: Path, folder: str, patterns: Sequence[str]) -> list[Path]:
    """By their paths from the root, none below another one."""
    where = Path(folder)
    lookups = (Path(), *reversed(where.parents[:-1]), where)
    here = [pattern for pattern in patterns if not pattern.startswith(_BELOW)]
    found = dict.fromkeys(
        path.relative_to(tree) for above in lookups for pattern in here for path in sorted((tree / above).glob(pattern))
    )
    below = [pattern for pattern in patterns if pattern.startswith(_BELOW)]
    found |= dict.fromkeys(_elsewhere(tree, lookups, below) if below else ())
    return [path for path in found if _is_inside(tree, tree / path) and not set(path.parents) & found.keys()]


def _elsewhere(tree: Path, lookups: Sequence[Path], patterns: Sequence[str]) -> Iterator[Path]:
    """In all folders but those of `lookups`, in any case of its letters."""
    wanted = re.compile("|".join(fnmatch.translate(pattern.lower()) for pattern in patterns))
    for folder, folders, files in os.walk(tree):
        at = Path(folder).relative_to(tree)
        folders[:] = sorted(name for name in folders if name != ".git")
        if at not in lookups:
            yield from (at / name for name in (*folders, *sorted(files)) if wanted.match(f"{folder}/{name}".lower()))


def _is_inside(tree: Path, path: Path) -> bool:
    """Whether its folder is one of the checkout, and no link leads elsewhere."""
    return path.parent.resolve().is_relative_to(tree.resolve())


def _put_back(tree: Path, path: Path, kept: Path) -> None:
    for folder in reversed(path.relative_to(tree).parents[:-1]):
        if (tree / folder).is_symlink() or not (tree / folder).is_dir():
            _remove(tree / folder)
            (tree / folder).mkdir()
    _remove(path)
    shutil.move(kept, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def _unwatched(tree: Path, paths: Sequence[Path]) -> None:
    """So that `git status` of the checkout does not tell of deletions, and `git checkout .` brings nothing back."""
    env = scrubbed(os.environ)
    listed = capture(("git", "--literal-pathspecs", "ls-files", "-z", "--", *map(str, paths)), cwd=tree, env=env)
    if listed.code == 0 and listed.out:
        names = [os.fsdecode(name) for name in listed.out.split(b"\0") if name]
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            capture(("git", "update-index", "--skip-worktree", "--", *some), cwd=tree, env=env)


_NOTE = "In all of the following, \\@ stands for a plain at sign.\n\n"


def without_mentions(text: str) -> str:
    """With a backslash before each `@`, which takes its meaning away, and a word on it."""
    return _NOTE + text.replace("@", "\\@") if "@" in text else text
