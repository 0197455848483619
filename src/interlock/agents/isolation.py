"""Isolating a program from the work: files that it would obey are not in the checkout while it runs, and no text of the
work makes it read a file. And isolating us from what a program leaves: we read it, and remove it, with more rights.

Rule: only what a program cannot be told to ignore is moved. It comes back unchanged when the program has ended,
whatever is at its path then. Git in the checkout does not report it as deleted. Nothing outside the checkout is moved.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from interlock.agents.program import folder_error
from interlock.process import capture, scrubbed

_BELOW = "**/"
_REMOVAL_S = 600.0
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
    for folder in reversed(path.relative_to(tree).parents):
        if not _is_folder(tree / folder):
            remove_left(tree / folder)
            (tree / folder).mkdir()
        _open_up(tree / folder, stat.S_IRWXU)
    remove_left(path)
    shutil.move(stored, path)


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


# --- what a program leaves --------------------------------------------------------------------


_DEPTH_MAX = 64
_ENTRIES_MAX = 200_000


def settle(folder: Path) -> None:
    """Make what a program left in `folder` safe to read, and to write to: a folder with folders, regular files, and
    links that lead to something in it. All else is removed: a link may lead out of it, to places that are only in the
    program's room, or to a file that we would make."""
    if not _is_folder(folder):
        _clear(folder)
    root, waiting, count = folder.resolve(), [(folder, 0)], 0
    while waiting:
        above, depth = waiting.pop()
        _open_up(above, stat.S_IRWXU)
        with os.scandir(above) as found:
            entries = list(islice(found, _ENTRIES_MAX))
        count += len(entries)
        if count >= _ENTRIES_MAX:
            return _clear(folder)
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False) and depth < _DEPTH_MAX:
                waiting.append((path, depth + 1))
            elif entry.is_file(follow_symlinks=False):
                _open_up(path, stat.S_IRUSR | stat.S_IWUSR)
            elif not (entry.is_symlink() and _leads_inside(path, root)):
                remove_left(path)
    return None


def _clear(folder: Path) -> None:
    remove_left(folder)
    folder.mkdir()


def leftovers(tree: Path, folder: str, pattern: str) -> set[Path]:
    """What a program leaves for itself, by its glob; an empty one finds nothing. It lies in the folder that the program
    takes for the root: the folder of the work, or one above it, unless it has become a link."""
    above = {Path(), *Path(folder).parents, Path(folder)} if pattern else set()
    there = [tree / one for one in above if not folder_error(tree, str(one))]
    return {path for one in there for path in one.glob(pattern)}


def remove_left(path: Path) -> None:
    """Remove what a program left, whatever it is: deep folders, and those that nobody may look into."""
    if _is_folder(path):
        env = scrubbed(os.environ)
        capture(("chmod", "-R", "u+rwX", "--", str(path)), env=env, timeout_s=_REMOVAL_S)
        capture(("rm", "-rf", "--", str(path)), env=env, timeout_s=_REMOVAL_S)
    else:
        path.unlink(missing_ok=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _open_up(path: Path, rights: int) -> None:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & rights != rights:
        path.chmod(mode | rights)


def _leads_inside(link: Path, root: Path) -> bool:
    real = os.path.realpath(link)
    return os.path.exists(real) and Path(real).is_relative_to(root)  # noqa: PTH110 - does not raise


def without_mentions(text: str) -> str:
    """`text` with a backslash before each `@`, and a note that explains it. Some programs take `@path` in a prompt for
    an order to read that file, and the prompt may quote the work."""
    return _NOTE + text.replace("@", "\\@") if "@" in text else text
