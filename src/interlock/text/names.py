"""Names of branches, as `git check-ref-format --branch` allows but not `@` or `HEAD`; of held-out files; of people."""

from __future__ import annotations

import re

from interlock.text.cleaning import plain

PART_BYTES_MAX = 250  # between slashes: a part becomes a file, and git locks it under a name that is five bytes longer
_BAD = re.compile(r"^-|(^|/)\.|\.\.|[\x00-\x20\x7f~^:?*\[\\]|@\{|\.lock(/|$)|//|[/.]$|^/|^@$|^HEAD$|^$|[\ud800-\udfff]")


_IDENTITY = re.compile(r"\S+ \((.+?)(?: <[^<>]*>)?\)( \(web\))?")
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


def person(by: str) -> str:
    """Whom git knows, without the address: `root (Ann <ann@example.org>) (web)` is `Ann (web)`."""
    found = _IDENTITY.fullmatch(by)
    return plain(f"{found[1]}{found[2] or ''}" if found else by, 120)


def rejected_by(by: str, words: str) -> str:
    """`rejected by Ann: too short`."""
    return f"rejected by {person(by)}: {words.removeprefix('rejected ')}"


def variable_of(name: str) -> str:
    """The environment variable that says where they lie, in place of the settings."""
    return f"INTERLOCK_HELD_OUT_{name.upper().replace('-', '_')}"
