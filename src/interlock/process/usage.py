"""What a program in a room uses, where the kernel does not count it for us: processes and memory, and what it wrote.

Rule: only the standard library, as for the supervisor. Rule: looking costs a small share of the time at most, whatever
there is to look at: what takes long is done in parts and less often.

What a program wrote are the files whose status changed since it began: no program can set that time. So nothing has to
be counted before it begins, and what was there already counts only once it is touched.
"""

# pathlib alone would double the start time of the supervisor.
# ruff: noqa: PTH110, PTH112, PTH116, PTH208
from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SLICE_S = 0.02  # of one look at files
_WALK_EVERY_S = 2.0
_SHARE = 50  # a walk is repeated after this many times what it took, or a tenth of it where much was written
_EARLIEST_S = 0.2
_NODE = 1024  # bytes that a file in memory takes, also if it is empty
_PATH_MAX = 900  # characters, of at most four bytes each
_HELD = 100  # folders that are open at once
_TURNS = 5  # looks at one folder, for what was renamed meanwhile
_PART = 200  # files between two looks at the clock
_IN_MEMORY = (b"/memfd:", b"/SYSV", b"/dev/")  # names of files that are on no disk
_CLOCK_NS = 50_000_000  # the clock of files is a bit behind


_Step = tuple[os.stat_result | None, str, int]  # None for a pause; the name of a folder, and its descriptor


class Limits(NamedTuple):
    """Memory, a single file and what is written are in bytes; 0 is no limit. `places` are the folders in which the
    program writes, the first one is its tree; `taken`: somebody will read what it leaves there; `of_free`: `disk` is a
    share of what was free, and nobody has set it."""

    memory: int = 0
    processes: int = 0
    file_size: int = 0
    disk: int = 0
    files: int = 0
    places: tuple[str, ...] = ()
    taken: bool = False
    of_free: bool = False


class Processes(NamedTuple):
    """What is in a room: `tasks` are processes with their threads."""

    tasks: int
    memory: int


def in_room(first: int, memory_max: int) -> Processes:
    """What runs in the room of which `first` is the first process. Memory is counted exactly only if a quick look says
    that it may be more than `memory_max`."""
    proc = _proc_of(first)
    if not proc:
        return Processes(0, 0)
    tasks = resident = 0
    names = []
    for name in _numbers(proc):
        tasks += _threads(f"{proc}/{name}/stat")
        names.append(_living(proc, name))
        resident += _resident(f"{proc}/{names[-1]}/statm")
    shared = _in_memory(f"/proc/{first}/root/dev")  # with /dev/shm, which the program could replace
    if memory_max and resident + shared > memory_max:
        return Processes(tasks, _exact(proc, names, shared))
    return Processes(tasks, resident + shared)


def _proc_of(first: int) -> str:
    """The processes of the room; empty if it is not made yet, or gone."""
    proc = f"/proc/{first}/root/proc"
    try:
        return proc if os.stat(proc).st_dev != os.stat("/proc").st_dev else ""
    except OSError:
        return ""


def _exact(proc: str, names: list[str], shared: int) -> int:
    """Each page once: what processes share is divided among them, files in memory are counted where they lie."""
    own = mapped = 0
    for name in names:
        said = _read(f"{proc}/{name}/smaps_rollup")
        if not said:  # it has just ended, or it forbids its user to look
            own += _resident(f"{proc}/{name}/statm")
        for line in said.splitlines():
            if line.startswith(b"Pss:"):
                own += int(line.split()[1]) * 1024
            elif line.startswith(b"Pss_Shmem:"):
                mapped += int(line.split()[1]) * 1024
    return own - mapped + max(mapped, shared)


def _living(proc: str, process: str) -> str:
    """A thread of the process that lives. One that has ended has no memory and no files, also if it is the first."""
    threads = (process, *_numbers(f"{proc}/{process}/task"))
    return next((one for one in threads if _resident(f"{proc}/{one}/statm")), process)


def _numbers(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.isdigit()]
    except OSError:  # it has ended
        return []


def _threads(path: str) -> int:
    text = _read(path)
    fields = text[text.rfind(b")") + 2 :].split()
    return int(fields[17]) if len(fields) > 17 else 0


def _resident(path: str) -> int:
    fields = _read(path).split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else 0


def _in_memory(path: str) -> int:
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return (found.f_blocks - found.f_bfree) * found.f_frsize + (found.f_files - found.f_ffree) * _NODE


def _read(path: str) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(file, 65536):
            parts.append(part)
        return b"".join(parts)
    except OSError:  # it has just ended
        return b""
    finally:
        os.close(file)


# --- files ---------------------------------------------------------------------------------------


class Written(NamedTuple):
    bytes: int = 0
    files: int = 0
    largest: int = 0


class Disk:
    """What a program writes below some folders. Where somebody will read what it leaves, the size of files counts, as
    all of a sparse file is read; elsewhere the room that they take."""

    def __init__(self, limits: Limits) -> None:
        self._places = tuple(place for place in limits.places if os.path.isdir(place))
        self._max = (limits.disk, limits.files)
        self._file = limits.file_size
        self._taken = limits.taken
        self._since_ns = time.time_ns() - _CLOCK_NS
        self._written = Written()
        self._free = self._at_first = self._free_now()
        self._walk: Iterator[Written] | None = None
        self._began = time.monotonic()
        self._due = self._began + _WALK_EVERY_S
        self._took_s = 0.0

    def look(self, first: int, *, whole: bool = False) -> Written:
        """What is known now, in a small part of a second. `whole`: all of it, counted anew: a count that has begun may
        have passed where it wrote later, and what has gone from the disk says nothing where others free some."""
        began = time.monotonic()
        self._since_ns = min(self._since_ns, time.time_ns() - _CLOCK_NS)  # a clock may be set back
        if whole or (self._walk is None and self._is_due(began)):
            self._walk, self._began, self._took_s = self._counted(first), began, 0.0
            self._free = self._free_now()
        while self._walk is not None and (whole or time.monotonic() < began + _SLICE_S):
            found = next(self._walk, None)
            if found is not None and self._is_over(found):
                self._written = found
                break
            if found is None:
                self._walk = None
                self._due = time.monotonic() + max(_WALK_EVERY_S, _SHARE * self._took_s)
        self._took_s += time.monotonic() - began
        return self._written

    def _is_due(self, now: float) -> bool:
        soon = self._began + self._took_s * _SHARE / 5 + _EARLIEST_S
        return now >= self._due or (now >= soon and self._may_be_over())

    def _is_over(self, found: Written) -> bool:
        return bool((self._max[0] and found.bytes > self._max[0]) or (self._max[1] and found.files > self._max[1]))

    def _may_be_over(self) -> bool:
        """Whether more than half of what is left of a limit, or of what one file may have, has gone from a disk, to
        whomever."""
        left = (self._max[0] - self._written.bytes, self._max[1] - self._written.files)
        for before, now in zip(self._free, self._free_now(), strict=True):
            for most, rest, had, has in zip(self._max, left, before, now, strict=True):
                if most and had - has > rest / 2:
                    return True
            if self._file and before[0] - now[0] > self._file / 2:
                return True
        return False

    def _free_now(self) -> tuple[tuple[int, int], ...]:
        return tuple(_free(place) for place in self._places)

    def _counted(self, first: int) -> Iterator[Written]:
        """The sum, again and again, until all has been looked at."""
        total, seen, hidden = Written(), set[tuple[int, int]](), list[str]()
        for number, place in enumerate(self._places):
            for count, found in enumerate(_below(place, hidden)):
                if count % _PART == 0 or found is None:
                    yield total
                if found is not None and found.st_ctime_ns >= self._since_ns:
                    total = _plus(total, found, seen, whole=self._taken and number == 0)
        for count, found in enumerate(_opened_in(first, hidden) if first else ()):
            if count % _PART == 0:
                yield total
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                total = _plus(total, found, seen, whole=False)
        yield self._with_hidden(total) if hidden else total
        self._written = total

    def _with_hidden(self, total: Written) -> Written:
        """It made folders or files that nobody may look into: then all that has gone from a disk since it began is its
        own."""
        gone = [
            [had - has for had, has in zip(before, now, strict=True)]
            for before, now in zip(self._at_first, self._free_now(), strict=True)
        ]
        return total._replace(
            bytes=max(total.bytes, *(one[0] for one in gone)), files=max(total.files, *(one[1] for one in gone))
        )


def _plus(total: Written, found: os.stat_result, seen: set[tuple[int, int]], *, whole: bool) -> Written:
    if found.st_nlink != 1:
        if (found.st_dev, found.st_ino) in seen:
            return total._replace(files=total.files + 1)
        seen.add((found.st_dev, found.st_ino))
    size = found.st_blocks * 512
    largest = total.largest
    if stat.S_ISREG(found.st_mode):
        size = max(size, found.st_size) if whole else size
        largest = max(largest, found.st_size)
    return Written(total.bytes + size, total.files + 1, largest)


def _below(place: str, hidden: list[str]) -> Iterator[os.stat_result | None]:
    """All entries, with None for a pause; `hidden` gets what cannot be looked at, or into. No folder is looked into
    twice, wherever it is moved."""
    walked = set[tuple[int, int]]()
    deep = [place]
    while deep:
        path = deep.pop()
        try:
            file = _opened(path)
        except OSError as error:
            if path != place or isinstance(error, PermissionError):
                hidden.append(path)
            continue
        yield from _walk((path, file), deep, walked, hidden)


def _walk(
    first: tuple[str, int], deep: list[str], walked: set[tuple[int, int]], hidden: list[str]
) -> Iterator[os.stat_result | None]:
    """Each folder is opened from the one above, which stays open: it does not matter how that one is called by then.
    `deep` gets those for which too many would be open."""
    stack = [(*first, _entries(first[1], hidden))]
    try:
        while stack:
            path, file, entries = stack[-1]
            step = next(entries, None)
            if step is None:
                stack.pop()
                os.close(file)
                continue
            found, name, folder = step
            if found is None or folder < 0:
                yield found
            elif (found.st_dev, found.st_ino) in walked:
                os.close(folder)
            elif len(stack) < _HELD:
                walked.add((found.st_dev, found.st_ino))
                stack.append((f"{path}/{name}", folder, _entries(folder, hidden)))
                yield found
            else:
                os.close(folder)
                deep.append(f"{path}/{name}")
                yield found
    finally:
        for _, file, entries in stack:
            entries.close()
            os.close(file)


def _entries(folder: int, hidden: list[str]) -> Generator[_Step]:
    """What is in a folder. What was renamed since it was listed is looked for again, a few times; what is always
    renamed is hidden."""
    lost = set[int]()
    for turn in range(_TURNS):
        missed, passed = set[int](), 0
        try:
            with os.scandir(folder) as listed:
                for entry in listed:
                    if turn and entry.inode() not in lost:
                        passed += 1
                        if passed % _PART == 0:
                            yield None, "", -1
                        continue
                    try:
                        yield _looked_at(entry, folder, hidden)
                    except OSError:  # renamed, or removed
                        missed.add(entry.inode())
        except OSError:
            return
        if not missed:
            return
        lost = missed
    hidden.append("renamed")


def _looked_at(entry: os.DirEntry[str], above: int, hidden: list[str]) -> _Step:
    found = os.stat(entry.name, dir_fd=above, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        return found, entry.name, -1
    try:
        folder = _open(entry.name, above)
    except PermissionError:
        hidden.append(entry.name)
        return found, entry.name, -1
    return os.fstat(folder), entry.name, folder


def _opened(path: str) -> int:
    """The folder, also where its path is longer than the kernel takes. No link at its end is followed."""
    above = -1
    try:
        while len(path) > _PATH_MAX and "/" in path[1:_PATH_MAX]:
            cut = path.rindex("/", 1, _PATH_MAX)
            above, before = _open(path[:cut], above), above
            _close(before)
            path = path[cut + 1 :]
        return _open(path, above)
    finally:
        _close(above)


def _open(path: str, above: int) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above if above >= 0 else None)


def _close(file: int) -> None:
    if file >= 0:
        os.close(file)


def _opened_in(first: int, hidden: list[str]) -> Iterator[os.stat_result]:
    """All files that are open in the room, by thread, as each may have its own. `hidden` gets the processes that may
    have others: those that forbid their user to look, and those that map a removed file, whose size nobody may read."""
    proc = _proc_of(first)
    for name in _numbers(proc) if proc else ():
        if _maps_removed(f"{proc}/{_living(proc, name)}/maps"):
            hidden.append(name)
        for thread in _numbers(f"{proc}/{name}/task"):
            folder = f"{proc}/{name}/task/{thread}/fd"
            if not os.access(folder, os.R_OK) and os.path.exists(folder):
                hidden.append(name)
            for file in _numbers(folder):
                with suppress(OSError):
                    yield os.stat(f"{folder}/{file}")


def _maps_removed(path: str) -> bool:
    """Whether a process maps a file that was removed and is on a disk."""
    removed = (line.split(None, 5)[5] for line in _read(path).splitlines() if line.endswith(b" (deleted)"))
    return any(not name.startswith(_IN_MEMORY) for name in removed)


def _free(place: str) -> tuple[int, int]:
    try:
        found = os.statvfs(place)
    except OSError:
        return 0, 0
    return found.f_bavail * found.f_frsize, found.f_ffree
