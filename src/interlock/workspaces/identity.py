"""Who the user is to git: what `git var` says in their repository, by configuration and environment.

Rule: the dates of the environment are not taken: a commit's date is the run's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from interlock.workspaces.base import Origin
from interlock.workspaces.git import Git, Trust

_ROLES = ("AUTHOR", "COMMITTER")
_NAMES = tuple(f"GIT_{role}_{part}" for role in _ROLES for part in ("NAME", "EMAIL"))


def identities(origin: Origin, environ: Mapping[str, str]) -> tuple[str, str]:
    """Author and committer, as `Name <mail>`; empty where git knows none."""
    return identities_in(origin.git_dir, environ)


def identities_in(git_dir: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    """As `identities`, of a repository that nothing else is known of."""
    git = Git(environ, git_dir, trust=Trust.USER)
    said = {name: environ[name] for name in _NAMES if name in environ}
    found = (git.call("var", f"GIT_{role}_IDENT", codes=range(256), extra=said) for role in _ROLES)
    author, committer = (_without_date(done.out) if done.code == 0 else "" for done in found)
    return author, committer


def _without_date(said: bytes) -> str:
    who, mark, _ = said.decode(errors="replace").rpartition("> ")
    return f"{who}>" if mark else ""
