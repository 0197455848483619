"""Where Interlock keeps files, and ids of runs: pure functions of the environment, a repository's path and the time.

The XDG base directory specification applies on every system; a relative path in it is ignored, as it demands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from interlock.ports import UsageError

_UNFIT = re.compile(r"[^a-z0-9]+")
_NAME_LENGTH_MAX = 32


@dataclass(frozen=True, slots=True)
class Paths:
    """Folders of this user. They need not exist."""

    state: Path
    config: Path
    cache: Path
    is_cache_shared: bool = False  # the user named the folder, so it may hold other files

    @property
    def keys(self) -> Path:
        """The keys that sign records of handoffs."""
        return self.state / "keys"

    @property
    def dev(self) -> Path:
        """What `interlock dev` keeps: the state of its server, blobs, logs."""
        return self.state / "dev"

    @property
    def dev_key(self) -> Path:
        """The key with which all that the server of `interlock dev` is given is encrypted."""
        return self.dev / "payloads.key"

    def repository(self, common_dir: Path) -> RepositoryPaths:
        """The paths of the repository with this common git directory (absolute, without links), by its path alone."""
        return self.of_root(self.state / repository_key(common_dir))

    def of_root(self, root: Path) -> RepositoryPaths:
        """The paths of the repository whose state folder is `root`."""
        return self._with_places(root, f"{root.name.rpartition('-')[0]}-{_digest(root)}")

    def of_worker(self, number: int) -> RepositoryPaths:
        """The paths of a worker, which has no repository. All of this user share a state, and each process has
        checkouts of its own, by its `number`."""
        root = self.state / "worker"
        return self._with_places(root, f"worker-{_digest(root / str(number))}")

    def _with_places(self, root: Path, name: str) -> RepositoryPaths:
        folder = self.cache / name  # two states never share checkouts
        above = () if self.is_cache_shared else ((self.cache, _REPOSITORY_FOLDERS),)
        places = folder / "places"
        return RepositoryPaths(root, places, (*above, (folder, "places|gates"), (places, _PLACES)))


@dataclass(frozen=True, slots=True)
class RepositoryPaths:
    """The files of one repository. `places`, the checkouts of agents, and `gates`, those of gates, are outside of
    `root`. `own`: folders above checkouts that hold only folders of Interlock, each with a pattern of their names."""

    root: Path
    places: Path
    own: tuple[tuple[Path, str], ...] = ()

    @property
    def gates(self) -> Path:
        return self.places.with_name("gates")

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
        """The names of damaged runs that were set aside."""
        return self.root / "aside"

    @property
    def former_places(self) -> Path:
        """Where earlier versions had the checkouts."""
        return self.root / "places"

    def run_lock(self, run: str) -> Path:
        return self.locks / f"{run}.lock"

    def effects_lock(self, run: str) -> Path:
        """Held during an effect of the run that cannot be undone."""
        return self.locks / f"{run}.effects"

    @property
    def deliverer_lock(self) -> Path:
        """Held by the process that makes the branches of runs on a server."""
        return self.locks / "deliver"


def paths_of(environ: Mapping[str, str]) -> Paths:
    """The folders by XDG_* and HOME; INTERLOCK_STATE_HOME and INTERLOCK_CACHE_HOME override two of them.

    Raises UsageError if none of them is set, and if state and checkouts would be inside each other.
    """
    paths = Paths(
        state=_override(environ, "INTERLOCK_STATE_HOME") or _base(environ, "XDG_STATE_HOME", ".local/state"),
        config=_base(environ, "XDG_CONFIG_HOME", ".config"),
        cache=_override(environ, "INTERLOCK_CACHE_HOME") or _base(environ, "XDG_CACHE_HOME", ".cache"),
        is_cache_shared=bool(environ.get("INTERLOCK_CACHE_HOME")),
    )
    if paths.cache.is_relative_to(paths.state) or paths.state.is_relative_to(paths.cache):
        raise UsageError(
            f"the state folder {paths.state} and the cache folder {paths.cache}, where agents work, contain each"
            " other: set another folder in INTERLOCK_STATE_HOME or INTERLOCK_CACHE_HOME"
        )
    return paths


def repository_key(common_dir: Path) -> str:
    """A readable name and a digest of the path, such as `shop-1f0c9a7be2d4`.

    `common_dir` is the common git directory, absolute and without links, so that linked worktrees share a key.
    """
    named = common_dir.parent if common_dir.name == ".git" else common_dir
    name = _UNFIT.sub("-", named.name.removesuffix(".git").lower()).strip("-")[:_NAME_LENGTH_MAX]
    return f"{name or 'repository'}-{_digest(common_dir)}"


def _digest(path: Path) -> str:
    return sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _override(environ: Mapping[str, str], name: str) -> Path | None:
    given = environ.get(name, "")
    if given and not Path(given).is_absolute():
        raise UsageError(f"{name} is {given!r}: expected an absolute path")
    return Path(given) if given else None


def _base(environ: Mapping[str, str], name: str, below_home: str) -> Path:
    given = environ.get(name, "")
    if given and Path(given).is_absolute():
        return Path(given) / "interlock"
    home = environ.get("HOME", "")
    if not home or not Path(home).is_absolute():
        raise UsageError(f"neither {name} nor HOME is set: set one to an absolute path")
    return Path(home) / below_home / "interlock"


# --- ids of runs --------------------------------------------------------------------------------


# Crockford's base 32 in lower case: without i, l, o and u, so that it can be read out.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SUFFIX_LENGTH = 6
ENTROPY_BYTES = 4
_ID = re.compile(rf"\d{{8}}-\d{{6}}-[{_ALPHABET}]{{{_SUFFIX_LENGTH}}}")

_REPOSITORY_FOLDERS = r".*-[0-9a-f]{12}"
_PLACES = rf"{_ID.pattern}|(?:room|gate|setup)-.+"  # runs, and what earlier versions had there


def new_run_id(now: float, random_bytes: bytes) -> str:
    """Such as `20261123-224507-k3f9xq`: the second in UTC, then 30 random bits.

    `now` is unix seconds. Raises ValueError for fewer than ENTROPY_BYTES random bytes.
    """
    if len(random_bytes) < ENTROPY_BYTES:
        raise ValueError(f"{len(random_bytes)} random bytes are too few: {ENTROPY_BYTES} are needed")
    number = int.from_bytes(random_bytes, "big")
    suffix = "".join(_ALPHABET[number >> (5 * index) & 31] for index in range(_SUFFIX_LENGTH))
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{suffix}"


def is_run_id(text: str) -> bool:
    """Whether the text has the form of `new_run_id`."""
    return _ID.fullmatch(text) is not None
