"""Which folder of the state belongs to a repository: found by an id in its git directory, wherever that lies.

Rule: the id is written when something is first kept of the repository. It goes where the repository is moved to, and a
clone has none. The folder records the id, and where its repository was seen last; so where two repositories have one
id, the one at another place is a copy, and gets a folder and an id of its own.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from interlock.settings.paths import Paths, RepositoryPaths, repository_key

ID_FILE = "interlock-id"  # in the common git directory
_ID = re.compile(r"[0-9a-f]{32}")
_RECORD = "repository"  # in the folder of the state: the id, and the git directory


@dataclass(frozen=True, slots=True)
class Identity:
    """Of a repository with this common git directory (absolute, without links). `known` is its id, empty where it has
    none of its own yet; `copy_of` the git directory that it was copied from, until it has."""

    common_dir: Path
    paths: RepositoryPaths
    known: str = ""
    copy_of: Path | None = None

    def settle(self) -> None:
        """Record where the repository lies, and give it an id, if it has none of its own: something is kept of it from
        here on. A git directory that cannot be written gets none, and its folder is found by the path alone."""
        made = self.known or _give_id(self.common_dir, anew=self.copy_of is not None)
        if made:
            _record(self.paths.root, made, self.common_dir)


def identify(paths: Paths, common_dir: Path) -> Identity:
    """Nothing is written. The folder may not be there yet."""
    known = read_id(common_dir)
    root = _root_of(paths, known, common_dir) if known else None
    if root is None and not known and (common_dir / ID_FILE).exists():  # damaged: the place tells
        usual = paths.state / repository_key(common_dir)
        if _recorded(usual)[1] == str(common_dir):
            return Identity(common_dir, paths.of_root(usual))
    if root is None:
        return Identity(common_dir, _vacant(paths, common_dir))
    original = _copied_from(root, known, common_dir)
    if original is not None:
        return Identity(common_dir, _vacant(paths, common_dir), copy_of=original)
    return Identity(common_dir, paths.of_root(root), known)


def read_id(common_dir: Path) -> str:
    """Empty where there is none."""
    try:
        said = (common_dir / ID_FILE).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return said if _ID.fullmatch(said) else ""


def _root_of(paths: Paths, known: str, common_dir: Path) -> Path | None:
    """The folder that records this id: most often that which the path names."""
    usual = paths.state / repository_key(common_dir)
    everywhere = (path.parent for path in sorted(paths.state.glob(f"*/{_RECORD}")))
    return next((root for root in (usual, *everywhere) if _recorded(root)[0] == known), None)


def _vacant(paths: Paths, common_dir: Path) -> RepositoryPaths:
    """The folder that the path names, and that no repository has recorded as its own."""
    usual = paths.state / repository_key(common_dir)
    others = (usual.with_name(f"{usual.name}-{number}") for number in count(2))
    return next(paths.of_root(root) for root in chain([usual], others) if not _recorded(root)[0])


def _copied_from(root: Path, known: str, common_dir: Path) -> Path | None:
    """The git directory that the folder `root` belongs to, where it is another one and still there."""
    original = Path(_recorded(root)[1])
    if original == common_dir or read_id(original) != known:
        return None
    with suppress(OSError):
        if original.samefile(common_dir):  # seen through a link or another mount
            return None
    return original


def _recorded(root: Path) -> tuple[str, str]:
    """The id and the git directory; empty where there is no record."""
    try:
        said = os.fsdecode((root / _RECORD).read_bytes()).removesuffix("\n")
    except OSError:
        return "", ""
    known, _, place = said.partition(" ")
    return known, place


def _record(root: Path, known: str, common_dir: Path) -> None:
    if _recorded(root) == (known, str(common_dir)):
        return
    fresh = root / f".{_RECORD}.{os.getpid()}.{secrets.token_hex(4)}"
    with suppress(OSError):  # the journal says it better where the folder cannot be written
        _write(fresh, os.fsencode(f"{known} {common_dir}\n"))
        fresh.replace(root / _RECORD)
        _sync(root)


def _give_id(common_dir: Path, *, anew: bool) -> str:
    """The id that the repository has from here on: of two that give one at once the first wins, and what is no id gives
    way. Empty: it cannot be."""
    anew = anew or ((common_dir / ID_FILE).exists() and not read_id(common_dir))
    fresh = common_dir / f".{ID_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        _write(fresh, f"{secrets.token_hex(16)}\n".encode("ascii"))
        if anew:
            fresh.replace(common_dir / ID_FILE)
        else:
            with suppress(FileExistsError):
                os.link(fresh, common_dir / ID_FILE)
        _sync(common_dir)
    except OSError:
        return ""
    finally:
        with suppress(OSError):
            fresh.unlink()
    return read_id(common_dir)


def _write(path: Path, content: bytes) -> None:
    """With its content on the disk before it gets a name that anything trusts."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
