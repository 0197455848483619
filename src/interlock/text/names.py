"""Names of branches, as `git check-ref-format --branch` allows but not `@` or `HEAD`; names of held-out files. Pure."""

from __future__ import annotations

import re

PART_BYTES_MAX = 250  # between slashes: a part becomes a file, and git locks it under a name that is five bytes longer
_BAD = re.compile(r"^-|(^|/)\.|\.\.|[\x00-\x20\x7f~^:?*\[\\]|@\{|\.lock(/|$)|//|[/.]$|^/|^@$|^HEAD$|^$|[\ud800-\udfff]")


_NAME = re.compile(r"[a-z][a-z0-9-]{0,47}")


def is_branch(name: str) -> bool:
    """Whether git takes it as the name of a branch, and the disk too."""
    return not _BAD.search(name) and all(len(part.encode()) <= PART_BYTES_MAX for part in name.split("/"))


def flaw(name: str, shown: str = "") -> str:
    """Why nothing can be delivered under `name`, which is told as `shown`; empty where something can."""
    shown = shown or name
    if not is_branch(name):
        return f"{shown or repr(shown)} is not a valid branch name"
    short = shown.removeprefix("refs/heads/")
    return f"{shown} is the full name of a ref, and {short} that of the branch" if short != shown else ""


def is_name(text: str) -> bool:
    """Without `_`, so that no two names have the same variable."""
    return _NAME.fullmatch(text) is not None


def variable_of(name: str) -> str:
    """The environment variable that says where they lie, in place of the settings."""
    return f"INTERLOCK_HELD_OUT_{name.upper().replace('-', '_')}"
