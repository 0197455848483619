"""Isolating a program from the work: files that it would obey are not in the checkout while it runs, and no text of the
work makes it read a file.

Rule: only what a program cannot be told to ignore is moved. It comes back unchanged when the program has ended,
whatever is at its path then. Git in the checkout does not report it as deleted. Nothing outside the checkout is moved.
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
_NOTE = "In all of the following, \\@ stands for a plain at sign.\n\n"


@contextmanager
def hidden_files(tree: Path, folder: str, patterns: Sequence[str], aside: Path) -> Iterator[None]:
    """Moves files and folders out of the checkout until the block ends. A pattern applies to `folder` and those above
    it; a pattern that begins with `**/` applies to all other folders."""
    found = _matches(tree, folder, patterns)
    if not found:
        yield
        return
    _skip_in_git(tree, found)
    aside.mkdir(parents=True, exist_ok=True)
    moved = [(tree / path, aside / str(number)) for number, path in enumerate(found)]
    for path, stored in moved:
        shutil.move(path, stored)
    try:
        yield
    finally:
        for path, stored in reversed(moved):
            _put_back(tree, path, stored)


def _matches(tree: Path, folder: str, patterns: Sequence[str]) -> list[Path]:
    """Paths relative to the root; none is below another one."""
    where = Path(folder)
    lookups = (Path(), *reversed(where.parents[:-1]), where)
    here = [pattern for pattern in patterns if not pattern.startswith(_BELOW)]
    found = dict.fromkeys(
        path.relative_to(tree) for above in lookups for pattern in here for path in sorted((tree / above).glob(pattern))
    )
    below = [pattern for pattern in patterns if pattern.startswith(_BELOW)]
    found |= dict.fromkeys(_matches_elsewhere(tree, lookups, below) if below else ())
    return [path for path in found if _is_inside(tree, tree / path) and not set(path.parents) & found.keys()]


def _matches_elsewhere(tree: Path, lookups: Sequence[Path], patterns: Sequence[str]) -> Iterator[Path]:
    """In all folders except `lookups`; upper and lower case are the same."""
    wanted = re.compile("|".join(fnmatch.translate(pattern.lower()) for pattern in patterns))
    for folder, folders, files in os.walk(tree):
        at = Path(folder).relative_to(tree)
        folders[:] = sorted(name for name in folders if name != ".git")
        if at not in lookups:
            yield from (at / name for name in (*folders, *sorted(files)) if wanted.match(f"{folder}/{name}".lower()))


def _is_inside(tree: Path, path: Path) -> bool:
    """Whether its folder is in the checkout, and not behind a link that leads out of it."""
    return path.parent.resolve().is_relative_to(tree.resolve())


def _put_back(tree: Path, path: Path, stored: Path) -> None:
    for folder in reversed(path.relative_to(tree).parents[:-1]):
        if (tree / folder).is_symlink() or not (tree / folder).is_dir():
            _remove(tree / folder)
            (tree / folder).mkdir()
    _remove(path)
    shutil.move(stored, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def _skip_in_git(tree: Path, paths: Sequence[Path]) -> None:
    """So that `git status` shows no deletions, and `git checkout .` restores nothing."""
    env = scrubbed(os.environ)
    git = ("git", "-c", "safe.directory=*", "--literal-pathspecs")  # it may be that of another id
    listed = capture((*git, "ls-files", "-z", "--", *map(str, paths)), cwd=tree, env=env)
    if listed.code == 0 and listed.out:
        names = [os.fsdecode(name) for name in listed.out.split(b"\0") if name]
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            capture((*git, "update-index", "--skip-worktree", "--", *some), cwd=tree, env=env)


def without_mentions(text: str) -> str:
    """`text` with a backslash before each `@`, and a note that explains it. Some programs take `@path` in a prompt for
    an order to read that file, and the prompt may quote the work."""
    return _NOTE + text.replace("@", "\\@") if "@" in text else text
