"""The files that a setup with a `key` is made from: the candidate's, with the code of the base.

Rule: no product code of a candidate runs while setup is made, since what it leaves would judge later attempts too. What
the key names is the candidate's, for it decides which environment is had; and so is what cannot run, such as a README.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from interlock.core.globs import matches_any
from interlock.core.installs import installs_copy
from interlock.core.judge_files import is_code, is_source
from interlock.core.pipeline import Setup
from interlock.workspaces import trees
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry

_READ_MAX = 1_000_000  # bytes of a file that is looked into for the line that names an interpreter


def setup_trees(objects: Objects, setups: Sequence[Setup], tree: str, base: str) -> tuple[str, ...]:
    """The trees to make the last of `setups` from: the first that works. In the first, sources that the base does not
    have are empty files, so that a manifest which names them can be read; in the second they are absent."""
    if not all(setup.key and not installs_copy(setup.command) for setup in setups):
        return (tree,)
    keys = [glob for setup in setups for glob in setup.key]
    listing = objects.listing(tree)
    changed = trees.differences(objects.listing(base), listing)
    edits = {
        path: was
        for path, (was, now) in changed.items()
        if path not in listing and _is_code(objects, path, was, now, keys)  # a folder stays one
    }
    if not edits:
        return (tree,)
    with objects.batch():
        empty = Entry(trees.FILE, objects.write("blob", b""))
        stubs = {path: empty for path, was in edits.items() if was is None and is_source(os.fsdecode(path))}
        made = (objects.write_edited(tree, {**edits, **stubs}), objects.write_edited(tree, edits))
    return tuple(dict.fromkeys(made))


def _is_code(objects: Objects, path: bytes, was: Entry | None, now: Entry | None, keys: Sequence[str]) -> bool:
    name = os.fsdecode(path)
    if matches_any(keys, name):
        return False
    modes = {entry.mode for entry in (was, now) if entry}
    if is_code(name) or modes & {trees.PROGRAM, trees.LINK, trees.SUBMODULE}:
        return True
    return now is not None and "." not in name.rpartition("/")[2] and _names_interpreter(objects, now)


def _names_interpreter(objects: Objects, entry: Entry) -> bool:
    return objects.sizes([entry.oid])[entry.oid] <= _READ_MAX and objects.read(entry.oid).startswith(b"#!")
