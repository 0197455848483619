"""The repository around a folder, and which state folder belongs to it: an id in its git directory tells, wherever it
is moved.

Rule: the id is written when the first data of a repository is kept, and never replaced. It moves with the repository; a
clone has none, and a copy (`cp -r`) has the same id. So a state folder records the id, and the path where its
repository was seen last; several folders may record one id, with different paths.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError
from interlock.ports.disk import put_file, put_first, remove_stale
from interlock.process import capture, scrubbed
from interlock.settings.paths import Paths, RepositoryPaths, repository_key

ID_FILE = "interlock-id"  # in the common git directory
_ID = re.compile(r"[0-9a-f]{32}")
_RECORD = "repository"  # in the state folder: the id, and the path of the git directory
_ANEW = "anew"  # in a state folder that was begun although the id was known: the notice of then
_SHOWN_MAX = 5
_ELSEWHERE = "if the runs are in another folder, set it in XDG_STATE_HOME or INTERLOCK_STATE_HOME"


@dataclass(frozen=True, slots=True)
class Identity:
    """A repository with this common git directory (absolute, without links). `known` is its id, empty if it has none
    yet. `recorded`: a state folder has that id. `notice` is what a person should know about the match; `lost`: there
    were runs, and no state folder is known to have them."""

    common_dir: Path
    paths: RepositoryPaths
    known: str = ""
    recorded: bool = False
    notice: str = ""
    lost: bool = False

    @property
    def begun_anew(self) -> str:
        """The notice of when the state folder was begun although the repository had an id; else empty."""
        return _anew(self.paths.root)

    def begin(self) -> None:
        """Called with the first run: settle, and keep the notice."""
        if self.notice and not self.recorded:
            with suppress(OSError):
                put_file(self.paths.root / _ANEW, f"{self.notice}\n".encode("utf-8", "replace"))
        self.settle()

    def settle(self) -> None:
        """Record the path of the repository, and give it an id if it has none: from now on it has data. Called too when
        a run of a moved repository is driven or answered, but not by verbs that only look: the repository could be a
        copy. A git directory that cannot be written gets no id, and its folder is found by the path alone."""
        remove_stale(self.common_dir / ID_FILE)
        made = self.known or _give_id(self.common_dir)
        if made and _has(self.common_dir, made):  # it may have been moved meanwhile
            _record(self.paths.root, made, self.common_dir)


@dataclass(frozen=True, slots=True)
class Record:
    """A state folder, and the path of its git directory when that was seen last."""

    root: Path
    place: Path
    known: str


def find_repository(cwd: Path, environ: Mapping[str, str], check_version: Callable[[], None]) -> tuple[Path, Path]:
    """The root of the working tree and the common git directory, absolute. `check_version` raises UsageError if git is
    too old. Raises UsageError."""
    words = ("git", "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir")
    try:
        done = capture(words, cwd=cwd, env=scrubbed(environ, ("HOME", "XDG_CONFIG_HOME")))
    except InfrastructureError:
        check_version()
        raise
    lines = os.fsdecode(done.out).split("\n")[:-1]
    if done.code != 0 or len(lines) != 2:
        check_version()  # an old git does not know these options, and prints something else
    if done.code == 0 and len(lines) != 2:
        raise UsageError(f"{os.fsdecode(done.out)!r}: the path contains a line break: rename the folder")
    if done.code != 0:
        raise UsageError(_no_repository(cwd, done.err.decode("utf-8", "replace").strip().removeprefix("fatal: ")))
    return Path(lines[0]), Path(lines[1]).resolve()


def _no_repository(cwd: Path, said: str) -> str:
    """`said` is the message of git."""
    why = said.partition("\n")[0]
    if "dubious ownership" in why:
        return (
            f"{cwd}: git does not trust it ({why}): run `git config --global --add safe.directory PATH` with that path"
        )
    because = f" ({why})" if why else ""
    return (
        f"{cwd} is not in the working tree of a git repository{because}: change to one, or create one with `git init`"
        " and a first commit"
    )


def identify(paths: Paths, common_dir: Path) -> Identity:
    """Nothing is written. The state folder may not exist yet. Raises InfrastructureError if the id cannot be read."""
    known = read_id(common_dir)
    if known:
        return _found(paths, known, common_dir)
    if not (common_dir / ID_FILE).exists():
        return Identity(common_dir, _vacant(paths, common_dir))
    here = [record for record in _records(paths) if record.place == common_dir]  # the id is damaged: the path decides
    if len(here) == 1:
        return Identity(common_dir, paths.of_root(here[0].root), recorded=True)
    return Identity(common_dir, _vacant(paths, common_dir), notice=_damaged(paths, here), lost=True)


def read_id(common_dir: Path) -> str:
    """Empty if there is none, or the file has no valid id. Raises InfrastructureError if the file cannot be read."""
    file = common_dir / ID_FILE
    try:
        text = file.read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return ""
    except OSError as error:
        why = error.strerror or str(error)
        words = "it identifies the runs of this repository: make it readable, for example"
        raise InfrastructureError(f"{file}: cannot be read: {why}: {words} `chmod a+r {file}`") from error
    return text if _ID.fullmatch(text) else ""


def records_of(paths: Paths, known: str) -> list[Record]:
    """The state folders that record this id."""
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
        return Identity(
            common_dir, paths.of_root(record.root), known, recorded=True, notice=_moved_notice(record, rivals)
        )
    notice, lost = _not_found(paths, known, gone, records)
    return Identity(common_dir, _vacant(paths, common_dir), known, notice=notice, lost=lost)


def _moved_notice(record: Record, rivals: Sequence[Record]) -> str:
    """The notice for a moved repository. It could be a copy of one of `rivals` as well."""
    if not rivals:
        return ""
    return (
        f"the runs are those of {record.place}, which no longer exists; {_them(rivals)} has the same id: if"
        " this repository is a copy of that one, the runs are not its own"
    )


def _not_found(paths: Paths, known: str, gone: Sequence[Record], records: Sequence[Record]) -> tuple[str, bool]:
    """The notice, and whether there may have been runs: a copy had none. A folder that was begun anew may itself belong
    to a copy, so it does not prove that this repository is one."""
    firsts = [record for record in records if not _anew(record.root)]
    if gone:
        return (
            f"this repository was moved or copied, and its runs could be those of {_them(gone)}: move it back, or write"
            f" `{known} PLACE` with its git directory as PLACE into the file {_RECORD} of the right folder"
        ), True
    if firsts:
        return f"this repository is a copy of {firsts[0].place}: it has none of its runs", False
    copied = f", or is a copy of {records[0].place}" if records else ""
    return (
        f"this repository has had runs (its git directory has the {ID_FILE} {known}){copied}, but no folder in"
        f" {paths.state} belongs to it: restore the folder from a backup; {_ELSEWHERE}; `interlock run` starts with no"
        " earlier runs"
    ), True


def _damaged(paths: Paths, here: Sequence[Record]) -> str:
    """The notice for a damaged id. The file proves that there were runs; the repository may have been moved before."""
    problem = f"the {ID_FILE} of this repository is damaged, and its runs"
    meant = here or [record for record in _records(paths) if record.known and not _has(record.place, record.known)]
    if not meant:
        return f"{problem} are in no folder of {paths.state}: {_ELSEWHERE}"
    return (
        f"{problem} could be those of {_them(meant)}: write the id from the file {_RECORD} of the right folder"
        " into it; `interlock run` starts with no earlier runs"
    )


def _them(records: Sequence[Record]) -> str:
    more = ", ..." if len(records) > _SHOWN_MAX else ""
    return ", ".join(f"{record.place} ({record.root})" for record in records[:_SHOWN_MAX]) + more


def _has(place: Path, known: str) -> bool:
    """Whether the repository of this id is still there; yes if its id cannot be read."""
    try:
        return read_id(place) == known
    except InfrastructureError:
        return True


def _is_same(place: Path, common_dir: Path) -> bool:
    """Also through a link or another mount."""
    with suppress(OSError):
        return place == common_dir or place.samefile(common_dir)
    return False


def _vacant(paths: Paths, common_dir: Path) -> RepositoryPaths:
    """The state folder that the path names, or the first numbered one that no repository has recorded."""
    usual = paths.state / repository_key(common_dir)
    others = (usual.with_name(f"{usual.name}-{number}") for number in count(2))
    return next(paths.of_root(root) for root in chain([usual], others) if not _recorded(root)[0])


def _recorded(root: Path) -> tuple[str, str]:
    """The id and the git directory; empty if there is no record."""
    try:
        text = os.fsdecode((root / _RECORD).read_bytes()).removesuffix("\n")
    except OSError:
        return "", ""
    known, _, place = text.partition(" ")
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
    with suppress(OSError):  # if the folder cannot be written, the journal reports it
        put_file(root / _RECORD, os.fsencode(f"{known} {common_dir}\n"))


def _give_id(common_dir: Path) -> str:
    """Give the repository an id and return it: of two processes at once the first wins. A damaged id is replaced, and
    kept beside the new one. Empty if it cannot be written."""
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
    """The mode of git's shared files, and readable for everybody: all users with runs here share the id."""
    with suppress(OSError):
        return (common_dir / "HEAD").stat().st_mode & 0o666 | 0o644
    return 0o644
