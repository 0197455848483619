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
        """Of the repository with this common git directory, as an absolute path without links, by its path alone."""
        return self.of_root(self.state / repository_key(common_dir))

    def of_root(self, root: Path) -> RepositoryPaths:
        """With this folder of the state."""
        of_this_state = f"{root.name.rpartition('-')[0]}-{_digest(root)}"  # two state folders never share checkouts
        return RepositoryPaths(root, self.cache / of_this_state / "places")


@dataclass(frozen=True, slots=True)
class RepositoryPaths:
    """What is kept of one repository. `places`, where agents and gates work, lies outside of `root`."""

    root: Path
    places: Path

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
    def aside(self) -> Path:
        """Names of damaged runs that stand in no list any more."""
        return self.root / "aside"

    @property
    def former_places(self) -> Path:
        """Where earlier versions had them."""
        return self.root / "places"

    def run_lock(self, run: str) -> Path:
        return self.locks / f"{run}.lock"

    def effects_lock(self, run: str) -> Path:
        """Held while something is done for the run that cannot be undone."""
        return self.locks / f"{run}.effects"


def paths_of(environ: Mapping[str, str]) -> Paths:
    """The folders by XDG_* and HOME; INTERLOCK_STATE_HOME and INTERLOCK_CACHE_HOME take the place of two of them.

    Raises UsageError where neither says where to go, and where the state and the checkouts would lie in each other.
    """
    paths = Paths(
        state=_own(environ, "INTERLOCK_STATE_HOME") or _base(environ, "XDG_STATE_HOME", ".local/state"),
        config=_base(environ, "XDG_CONFIG_HOME", ".config"),
        cache=_own(environ, "INTERLOCK_CACHE_HOME") or _base(environ, "XDG_CACHE_HOME", ".cache"),
    )
    if paths.cache.is_relative_to(paths.state) or paths.state.is_relative_to(paths.cache):
        raise UsageError(
            f"the state folder {paths.state} and the cache folder {paths.cache}, where agents work, lie in each other: "
            "name another place in INTERLOCK_STATE_HOME or INTERLOCK_CACHE_HOME"
        )
    return paths


def repository_key(common_dir: Path) -> str:
    """A readable name and a digest of the place, such as `shop-1f0c9a7be2d4`.

    `common_dir` is the common git directory, absolute and without links, so that linked worktrees share a key.
    """
    named = common_dir.parent if common_dir.name == ".git" else common_dir
    name = _UNFIT.sub("-", named.name.removesuffix(".git").lower()).strip("-")[:_NAME_LENGTH_MAX]
    return f"{name or 'repository'}-{_digest(common_dir)}"


def _digest(path: Path) -> str:
    return sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _own(environ: Mapping[str, str], name: str) -> Path | None:
    given = environ.get(name, "")
    if given and not Path(given).is_absolute():
        raise UsageError(f"{name} is {given!r}: an absolute path is needed")
    return Path(given) if given else None


def _base(environ: Mapping[str, str], name: str, below_home: str) -> Path:
    given = environ.get(name, "")
    if given and Path(given).is_absolute():
        return Path(given) / "interlock"
    home = environ.get("HOME", "")
    if not home or not Path(home).is_absolute():
        raise UsageError(f"neither {name} nor HOME says where to keep things: set one to an absolute path")
    return Path(home) / below_home / "interlock"
