"""Which folder of the state belongs to a repository: found by an id in its git directory, wherever that lies.

Rule: the id is written when something is first kept of the repository, and never replaced. It goes where the repository
is moved to, a clone has none, and a copy (`cp -r`) has the same. So a folder of the state records the id and where its
repository was seen last; several may record one id, each at another place.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from interlock.ports import InfrastructureError
from interlock.ports.disk import put_file, put_first, remove_stale
from interlock.settings.paths import Paths, RepositoryPaths, repository_key

ID_FILE = "interlock-id"  # in the common git directory
_ID = re.compile(r"[0-9a-f]{32}")
_RECORD = "repository"  # in the folder of the state: the id, and the git directory
_ANEW = "anew"  # in one that was begun where the id was known already: what was said then
_SHOWN_MAX = 5
_ELSEWHERE = "if the runs are kept elsewhere, name that place in XDG_STATE_HOME or INTERLOCK_STATE_HOME"


@dataclass(frozen=True, slots=True)
class Identity:
    """Of a repository with this common git directory (absolute, without links). `known` is its id, empty where it has
    none yet. `recorded`: a folder of the state has it. `notice` is what a person should know of how it was found;
    `lost`: it had runs, and no folder is known to be theirs."""

    common_dir: Path
    paths: RepositoryPaths
    known: str = ""
    recorded: bool = False
    notice: str = ""
    lost: bool = False

    @property
    def begun_anew(self) -> str:
        """What was said when its folder was begun, although the repository had an id; empty where there is no such."""
        return _anew(self.paths.root)

    def begin(self) -> None:
        """A first run is kept: settle, and remember what was said before it."""
        if self.notice and not self.recorded:
            with suppress(OSError):
                put_file(self.paths.root / _ANEW, f"{self.notice}\n".encode("utf-8", "replace"))
        self.settle()

    def settle(self) -> None:
        """Record where the repository lies, and give it an id, if it has none yet: something is kept of it from here
        on, also where a run of one that was moved is driven or answered. To look on records nothing: it could be a copy
        that does. A git directory that cannot be written gets no id, and its folder is found by the path alone."""
        remove_stale(self.common_dir / ID_FILE)
        made = self.known or _give_id(self.common_dir)
        if made and _has(self.common_dir, made):  # it may have moved on, while this process looks on
            _record(self.paths.root, made, self.common_dir)


@dataclass(frozen=True, slots=True)
class Record:
    """A folder of the state, and the git directory that it was kept of when that was seen last."""

    root: Path
    place: Path
    known: str


def identify(paths: Paths, common_dir: Path) -> Identity:
    """Nothing is written. The folder may not be there yet. Raises InfrastructureError where the id cannot be read."""
    known = read_id(common_dir)
    if known:
        return _found(paths, known, common_dir)
    if not (common_dir / ID_FILE).exists():
        return Identity(common_dir, _vacant(paths, common_dir))
    here = [record for record in _records(paths) if record.place == common_dir]  # damaged: the place tells
    if len(here) == 1:
        return Identity(common_dir, paths.of_root(here[0].root), recorded=True)
    return Identity(common_dir, _vacant(paths, common_dir), notice=_damaged(paths, here), lost=True)


def read_id(common_dir: Path) -> str:
    """Empty where there is none, or what was read is none. Raises InfrastructureError where it cannot be read: it may
    well be one."""
    file = common_dir / ID_FILE
    try:
        said = file.read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return ""
    except OSError as error:
        why = error.strerror or str(error)
        words = "by it the runs of this repository are found: let it be read, for example"
        raise InfrastructureError(f"{file}: cannot be read: {why}: {words} `chmod a+r {file}`") from error
    return said if _ID.fullmatch(said) else ""


def records_of(paths: Paths, known: str) -> list[Record]:
    """The folders that record this id."""
    return [record for record in _records(paths) if known and record.known == known]


def _records(paths: Paths) -> Iterator[Record]:
    for path in sorted(paths.state.glob(f"*/{_RECORD}")):
        known, place = _recorded(path.parent)
        yield Record(path.parent, Path(place), known)


def _found(paths: Paths, known: str, common_dir: Path) -> Identity:
    usual = paths.state / repository_key(common_dir)
    if _recorded(usual) == (known, str(common_dir)):
        return Identity(common_dir, paths.of_root(usual), known, recorded=True)
    records = records_of(paths, known)
    here = [record for record in records if _is_same(record.place, common_dir)]
    gone = [record for record in records if not _has(record.place, known)]
    if here or len(gone) == 1:
        record = (here or gone)[0]
        rivals = [] if here else [other for other in records if other != record]
        return Identity(common_dir, paths.of_root(record.root), known, recorded=True, notice=_taken(record, rivals))
    notice, lost = _not_found(paths, known, gone, records)
    return Identity(common_dir, _vacant(paths, common_dir), known, notice=notice, lost=lost)


def _taken(record: Record, rivals: Sequence[Record]) -> str:
    """Of a repository that was moved. It could be a copy of a rival as well."""
    if not rivals:
        return ""
    return (
        f"the runs are those of {record.place}, which is gone; of the same id is also {_them(rivals)}: if this"
        " repository is a copy of that, they are not its own"
    )


def _not_found(paths: Paths, known: str, gone: Sequence[Record], records: Sequence[Record]) -> tuple[str, bool]:
    """What to say, and whether there may have been runs: a copy had none. A folder that was begun anew may be a copy's
    itself, so it does not tell that this one is a copy."""
    firsts = [record for record in records if not _anew(record.root)]
    if gone:
        return (
            f"this repository was moved or copied, and its runs could be those of {_them(gone)}: move it back, or write"
            f" `{known} PLACE` with its git directory as PLACE into the file {_RECORD} of the folder that is meant"
        ), True
    if firsts:
        return f"this repository is a copy of {firsts[0].place}: it has none of its runs", False
    copied = f", or is a copy of {records[0].place}" if records else ""
    return (
        f"this repository has had runs (its git directory has the {ID_FILE} {known}){copied}, and no folder in"
        f" {paths.state} is of it: put the folder back from a copy; {_ELSEWHERE}; `interlock run` begins anew"
    ), True


def _damaged(paths: Paths, here: Sequence[Record]) -> str:
    """That the file is there is proof of runs. Its repository may have been moved before it was damaged."""
    said = f"the {ID_FILE} of this repository is damaged, and its runs"
    meant = here or [record for record in _records(paths) if record.known and not _has(record.place, record.known)]
    if not meant:
        return f"{said} are in no folder of {paths.state}: {_ELSEWHERE}"
    return (
        f"{said} could be those of {_them(meant)}: write the id from the file {_RECORD} of the folder that is meant"
        " into it; `interlock run` begins anew"
    )


def _them(records: Sequence[Record]) -> str:
    more = ", ..." if len(records) > _SHOWN_MAX else ""
    return ", ".join(f"{record.place} ({record.root})" for record in records[:_SHOWN_MAX]) + more


def _has(place: Path, known: str) -> bool:
    """Whether the repository of this id is still there; so it is taken where that cannot be read."""
    try:
        return read_id(place) == known
    except InfrastructureError:
        return True


def _is_same(place: Path, common_dir: Path) -> bool:
    """Also where it is seen through a link or another mount."""
    with suppress(OSError):
        return place == common_dir or place.samefile(common_dir)
    return False


def _vacant(paths: Paths, common_dir: Path) -> RepositoryPaths:
    """The folder that the path names, and that no repository has recorded as its own."""
    usual = paths.state / repository_key(common_dir)
    others = (usual.with_name(f"{usual.name}-{number}") for number in count(2))
    return next(paths.of_root(root) for root in chain([usual], others) if not _recorded(root)[0])


def _recorded(root: Path) -> tuple[str, str]:
    """The id and the git directory; empty where there is no record."""
    try:
        said = os.fsdecode((root / _RECORD).read_bytes()).removesuffix("\n")
    except OSError:
        return "", ""
    known, _, place = said.partition(" ")
    return known, place


def _anew(root: Path) -> str:
    try:
        return (root / _ANEW).read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _record(root: Path, known: str, common_dir: Path) -> None:
    if _recorded(root) == (known, str(common_dir)):
        return
    remove_stale(root / _RECORD)
    with suppress(OSError):  # the journal says it better where the folder cannot be written
        put_file(root / _RECORD, os.fsencode(f"{known} {common_dir}\n"))


def _give_id(common_dir: Path) -> str:
    """The id that the repository has from here on: of two that give one at once the first wins, and what is no id gives
    way, and stays beside it. Empty: it cannot be."""
    file = common_dir / ID_FILE
    damaged = not read_id(common_dir) and file.exists()
    put = put_file if damaged else put_first
    try:
        if damaged and file.stat().st_size:
            os.link(file, file.with_name(f"{ID_FILE}.damaged-{secrets.token_hex(4)}"))
        put(file, f"{secrets.token_hex(16)}\n".encode("ascii"), mode=_shared(common_dir))
    except OSError:
        return ""
    return read_id(common_dir)


def _shared(common_dir: Path) -> int:
    """The rights of git's shared files, and everybody may read: all who have runs here go by the one id."""
    with suppress(OSError):
        return (common_dir / "HEAD").stat().st_mode & 0o666 | 0o644
    return 0o644
