"""A reviewer's checkout without what steers agents: the candidate's instruction files, settings, hooks and servers.

Rule: whatever has such a name goes, at any depth: file, folder or link, in any case of its letters, since some file
systems do not tell them apart. The change itself still shows them, as data.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from interlock.core.globs import matches_any
from interlock.core.judge_files import AGENT_FILES


def remove_instructions(tree: Path) -> None:
    """Remove them from a checkout that nobody has worked in."""
    globs = tuple(glob.lower() for glob in AGENT_FILES)
    for folder, folders, files in os.walk(tree):
        below = os.path.relpath(folder, tree)
        for name in (*folders, *files):
            path = os.path.normpath(os.path.join(below, name)).lower()  # noqa: PTH118 - one string per file
            if matches_any(globs, path) or matches_any(globs, f"{path}/x"):
                _remove(Path(folder, name))
        folders[:] = [name for name in folders if name != ".git" and os.path.lexists(Path(folder, name))]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
