"""The id that programs in rooms have on the machine, where Interlock is root: one that owns nothing.

What a room is to own is root's on the disk, and is seen as the id's through a copy of its mount that maps ids (Linux
5.12). What lies behind a folder that the id may not pass, such as the home of root, is shown at the same path in a
namespace of mounts that has nothing else there. So no path changes.

Rule: only the standard library, as for the supervisor.
"""

# pathlib alone would double the start time of the supervisor.
# ruff: noqa: PTH103, PTH112, PTH116, PTH120
from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache

# The id, what is seen as its own, and what else it must reach.
Wire = tuple[int, tuple[bytes, ...], tuple[bytes, ...]]

_CANDIDATES = range(65533, 65519, -1)  # no distribution gives them to anybody, and small containers have them too
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on each architecture
_AT_HERE, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_CLONE, _FROM_EMPTY_PATH, _IDMAP = 1, 4, 0x100000
_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_REC, _MS_PRIVATE = 2, 4, 0x4000, 1 << 18
_MNT_DETACH = 2
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH_MAX = 200
_BINDS = (b"--bind", b"--ro-bind", b"--dev-bind")


def spare() -> int:
    """An id that no user and no group has; 0 if there is none."""
    import grp
    import pwd

    for number in _CANDIDATES:
        try:
            pwd.getpwuid(number)
        except KeyError:
            try:
                grp.getgrgid(number)
            except KeyError:
                return number
    return 0


def map_to(owner: int) -> int:
    """A descriptor of the map by which what is root's is seen as the owner's. Raises OSError."""
    return _map_to(os.getpid(), owner)


def shown_as(path: bytes, ids: int, *, deep: bool = True) -> int:
    """A copy of the mount of `path`, and `deep` of those below it, to which nothing is attached: a descriptor. `ids` is
    from `map_to`; -1 maps nothing. Raises OSError, also where a file system cannot have it."""
    below = _AT_RECURSIVE if deep else 0
    copy = _syscall(_OPEN_TREE, _AT_HERE, path, ctypes.c_uint(_CLONE | os.O_CLOEXEC | below))
    if ids >= 0:
        wanted = (ctypes.c_uint64 * 4)(_IDMAP, 0, 0, ids)
        try:
            _syscall(_MOUNT_SETATTR, copy, b"", ctypes.c_uint(_AT_EMPTY_PATH | below), wanted, ctypes.c_size_t(32))
        except OSError:
            os.close(copy)
            raise
    return copy


def attach(copy: int, at: bytes) -> None:
    """Mount what `shown_as` gave, and close it. Raises OSError."""
    try:
        _syscall(_MOVE_MOUNT, copy, b"", _AT_HERE, at, ctypes.c_uint(_FROM_EMPTY_PATH))
    finally:
        os.close(copy)


def become(wire: Wire, options: Sequence[bytes], ids: int, *, streams: bool) -> None:
    """Turn this process, which is about to make a room, into one of the owner. `options` are those of bubblewrap: all
    that they bind is reached afterwards. `streams`: they become the owner's, so that it can open them again."""
    owner, own, needed = wire
    _call("unshare", _NEWNS)
    _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    written = _bound(options, b"--bind")
    copies = {path: _copy_for(path, owner, ids, written=path in written) for path in _there(own)}
    _show(copies, _there({*needed, *_bound(options, *_BINDS)}.difference(own)))
    for stream in (0, 1, 2) if streams else ():
        with suppress(OSError):
            if not stat.S_ISCHR(os.fstat(stream).st_mode):
                os.fchown(stream, owner, owner)
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))  # of all rooms together; each has its own limit
    os.setgroups([])
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)


def take_over(upper: bytes, tree: bytes, owner: int) -> None:
    """Give what we wrote into an overlay to the owner of its checkout; `upper` is the layer with the changes. No link
    is followed, and nothing is looked for deeper than we write. Raises OSError if there is no such checkout."""
    folder = os.open(tree, _FOLDER)
    try:
        _take_over(upper, folder, owner, _DEPTH_MAX)
    finally:
        os.close(folder)


def _take_over(upper: bytes, folder: int, owner: int, depth: int) -> None:
    with suppress(OSError), os.scandir(upper) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            if found.st_uid != owner and not stat.S_ISCHR(found.st_mode):  # of a file that is gone
                os.chown(entry.name, owner, owner, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) and depth:
                below = os.open(entry.name, _FOLDER, dir_fd=folder)
                try:
                    _take_over(entry.path, below, owner, depth - 1)
                finally:
                    os.close(below)


def _show(copies: dict[bytes, int], others: Iterable[bytes]) -> None:
    """Attach the copies where they were made, and make them and the others reachable."""
    closed = _Closed()
    copies = copies | {path: shown_as(path, -1) for path in others if closed.above(path)}
    hidden = {above for path in copies if (above := closed.above(path))}
    kinds = {path: os.path.isdir(path) for path in copies}
    before = os.umask(0o066)  # folders on the way can be passed, and no more
    try:
        for folder in sorted(hidden):
            _mount(b"none", folder, b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=711,size=1m")
        for path in sorted(copies):
            if closed.above(path):
                _make(path, folder=kinds[path])
            attach(copies[path], path)
    finally:
        os.umask(before)


def _copy_for(path: bytes, owner: int, ids: int, *, written: bool) -> int:
    """What is only read is shown as it is where a file system cannot map: what is readable for all can be read."""
    if os.stat(path).st_uid == owner:
        return shown_as(path, -1)
    try:
        return shown_as(path, ids)
    except OSError:
        if written:
            raise
        return shown_as(path, -1)


class _Closed:
    """Folders that only root may pass, as they were."""

    def __init__(self) -> None:
        self._seen: dict[bytes, bytes] = {b"/": b"", b"": b""}

    def above(self, path: bytes) -> bytes:
        """The topmost one above `path`; empty if there is none."""
        folder = os.path.dirname(path)
        if folder not in self._seen:
            found = self.above(folder)
            if not found and not os.stat(folder).st_mode & stat.S_IXOTH:
                found = folder
            self._seen[folder] = found
        return self._seen[folder]


def _bound(options: Sequence[bytes], *names: bytes) -> set[bytes]:
    return {options[at + 1] for at, word in enumerate(options[:-1]) if word in names}


def _there(paths: Iterable[bytes]) -> list[bytes]:
    """Of what is missing bubblewrap says so."""
    return [path for path in paths if os.path.lexists(path)]


def _make(path: bytes, *, folder: bool) -> None:
    """What something can be mounted at, unless it is there."""
    if os.path.lexists(path):
        return
    os.makedirs(path if folder else os.path.dirname(path), exist_ok=True)
    if not folder:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


@cache
def _map_to(_pid: int, owner: int) -> int:
    """A namespace of users, kept by its descriptor: the process that made it ends."""
    said, says = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _call("unshare", _NEWUSER)
            os.write(says, b"x")
            signal.pause()
        finally:
            os._exit(0)
    os.close(says)
    try:
        if os.read(said, 1) != b"x":
            raise OSError(1, "no namespace of users")
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(f"0 {owner} 1")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(said)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _mount(source: bytes, at: bytes, kind: bytes | None, flags: int, data: bytes | None) -> None:
    _call("mount", source, at, kind, ctypes.c_ulong(flags), data)


def _syscall(number: int, *words: object) -> int:
    return _call("syscall", ctypes.c_long(number), *words)


@cache
def _libc() -> ctypes.CDLL:
    """Kept: to make one takes longer than a call of the kernel."""
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *words: object) -> int:
    answer = int(getattr(_libc(), name)(*words))
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return answer
