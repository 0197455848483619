"""Which folder of the state belongs to a repository: found by an id in its git directory, wherever that lies.

Rule: the id goes where the repository is moved to, and a clone has none. The folder records where its repository was
seen last; so where two repositories have one id, the one at another place is a copy, and gets an id of its own.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from interlock.settings.paths import Paths, RepositoryPaths

ID_FILE = "interlock-id"  # in the common git directory
_ID = re.compile(r"[0-9a-f]{12,32}")
_SEEN = "repository"  # in the folder of the state: the git directory that it belongs to


@dataclass(frozen=True, slots=True)
class Found:
    """`copy_of` is the git directory that this one was copied from, if it was just found out."""

    paths: RepositoryPaths
    copy_of: Path | None = None


def look_up(paths: Paths, common_dir: Path) -> RepositoryPaths:
    """As `settle`, and nothing is written: where nothing is kept of the repository, a folder that is not there."""
    known = read_id(common_dir)
    root = _root_of(paths, known) if known else None
    if root is not None and _copied_from(root, known, common_dir) is None:
        return paths.of_root(root)
    return paths.repository(common_dir)


def settle(paths: Paths, common_dir: Path) -> Found:
    """The folders of the repository with this common git directory (absolute, without links). Gives it an id if it has
    none, and adopts the folder that an earlier version named by the path alone. A git directory that cannot be written
    gets no id, and its folder is named by the path."""
    known = read_id(common_dir)
    if not known:
        return Found(_named(paths, common_dir))
    root = _root_of(paths, known)
    if root is None:
        return Found(_seen(paths, paths.state / paths.name_of(common_dir, known), common_dir))
    original = _copied_from(root, known, common_dir)
    if original is None:
        return Found(_seen(paths, root, common_dir))
    with suppress(OSError):
        (common_dir / ID_FILE).unlink()
    return Found(_named(paths, common_dir), original)


def read_id(common_dir: Path) -> str:
    """Empty where there is none."""
    try:
        said = (common_dir / ID_FILE).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return said if _ID.fullmatch(said) else ""


def _named(paths: Paths, common_dir: Path) -> RepositoryPaths:
    """Of a repository without an id."""
    former = paths.repository(common_dir).root
    adopts = former.is_dir() and not (former / _SEEN).exists()
    made = _give_id(common_dir, former.name.rpartition("-")[2] if adopts else secrets.token_hex(8))
    if not made:
        return paths.of_root(former)
    return _seen(paths, paths.state / paths.name_of(common_dir, made), common_dir)


def _give_id(common_dir: Path, new: str) -> str:
    """The id that the repository has from here on: of two that give one at once the first wins. Empty: it cannot be."""
    fresh = common_dir / f".{ID_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        fresh.write_text(f"{new}\n", encoding="ascii")
        with suppress(FileExistsError):
            os.link(fresh, common_dir / ID_FILE)
    except OSError:
        return ""
    finally:
        with suppress(OSError):
            fresh.unlink()
    return read_id(common_dir)


def _root_of(paths: Paths, known: str) -> Path | None:
    return next((root for root in sorted(paths.state.glob(f"*-{known}")) if root.is_dir()), None)


def _copied_from(root: Path, known: str, common_dir: Path) -> Path | None:
    """The git directory that the folder `root` belongs to, where it is another one and still there."""
    try:
        original = Path(os.fsdecode((root / _SEEN).read_bytes()).removesuffix("\n"))
    except OSError:
        return None
    if read_id(original) != known or original.resolve() == common_dir:
        return None
    with suppress(OSError):
        if original.samefile(common_dir):  # seen through another mount
            return None
    return original


def _seen(paths: Paths, root: Path, common_dir: Path) -> RepositoryPaths:
    """Record where the repository lies now."""
    said, place = os.fsencode(common_dir) + b"\n", root / _SEEN
    with suppress(OSError):  # the journal says it better where the folder cannot be written
        if not place.exists() or place.read_bytes() != said:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = root / f".{_SEEN}.{os.getpid()}.{secrets.token_hex(4)}"
            fresh.write_bytes(said)
            fresh.replace(place)
    return paths.of_root(root)
