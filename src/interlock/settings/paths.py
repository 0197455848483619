"""Where Interlock keeps things: pure functions of the environment and of a repository's place.

The XDG base directory specification holds on every system; a relative path in it is ignored, as it says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from interlock.ports import UsageError

_UNFIT = re.compile(r"[^a-z0-9]+")
_NAME_LENGTH_MAX = 32


@dataclass(frozen=True, slots=True)
class Paths:
    """Folders of this user. None of them need exist."""

    state: Path
    config: Path
    cache: Path

    def repository(self, common_dir: Path) -> RepositoryPaths:
        """Of the repository with this common git directory, as an absolute path without links."""
        return RepositoryPaths(self.state / repository_key(common_dir))


@dataclass(frozen=True, slots=True)
class RepositoryPaths:
    """What is kept of one repository."""

    root: Path

    @property
    def journal(self) -> Path:
        return self.root / "journal.db"

    @property
    def store(self) -> Path:
        return self.root / "store.git"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def places(self) -> Path:
        return self.root / "places"

    def run_lock(self, run: str) -> Path:
        return self.locks / f"{run}.lock"


def paths_of(environ: Mapping[str, str]) -> Paths:
    """The folders by XDG_* and HOME; INTERLOCK_STATE_HOME takes the place of the state folder.

    Raises UsageError where neither says where to go.
    """
    own = environ.get("INTERLOCK_STATE_HOME", "")
    if own and not Path(own).is_absolute():
        raise UsageError(f"INTERLOCK_STATE_HOME is {own!r}: an absolute path is needed")
    return Paths(
        state=Path(own) if own else _base(environ, "XDG_STATE_HOME", ".local/state"),
        config=_base(environ, "XDG_CONFIG_HOME", ".config"),
        cache=_base(environ, "XDG_CACHE_HOME", ".cache"),
    )


def repository_key(common_dir: Path) -> str:
    """A readable name and a digest of the place, such as `shop-1f0c9a7be2d4`.

    `common_dir` is the common git directory, absolute and without links, so that linked worktrees share a key.
    """
    named = common_dir.parent if common_dir.name == ".git" else common_dir
    name = _UNFIT.sub("-", named.name.removesuffix(".git").lower()).strip("-")[:_NAME_LENGTH_MAX]
    digest = sha256(str(common_dir).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{name or 'repository'}-{digest[:12]}"


def _base(environ: Mapping[str, str], name: str, below_home: str) -> Path:
    given = environ.get(name, "")
    if given and Path(given).is_absolute():
        return Path(given) / "interlock"
    home = environ.get("HOME", "")
    if not home or not Path(home).is_absolute():
        raise UsageError(f"neither {name} nor HOME says where to keep things: set one to an absolute path")
    return Path(home) / below_home / "interlock"
