"""Mounts of this process alone: a namespace of its own, and overlays in it. Linux only.

Programs that it starts see the mounts, at the same paths; nobody else on the machine does. The kernel removes them when
the last of these processes is gone, whatever ended it.

Rule: as root it is a mount namespace and nothing else. As an ordinary user it also is a user namespace, in which files
of other owners look foreign: programs that act for the user (git with the user's settings, `gh`, notifications), and
agents and gates that are in no room, are started outside, by a fork server that is older than the namespace
(`outside`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from interlock.ports import InfrastructureError
from interlock.process import ids
from interlock.process.spawner import Spawner, spawner

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_REC, _MS_PRIVATE, _MS_NOSUID, _MS_NODEV = 0x4000, 1 << 18, 2, 4
_SAID_MAX = 4000
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_MOUNTS_MAX = 4  # at one place: an overlay, and what it lies over


class _Entered:
    """What `enter` has reached in this process. `pid` is its own: a forked child has entered nothing by itself."""

    pid = 0
    why = "not tried"
    as_user = False
    outside: Spawner | None = None


_entered = _Entered()
_overlays: set[Path] = set()  # where this process has mounted them


def enter() -> bool:
    """Move this process, and all that it starts from now on, into a mount namespace of its own. Whether it is in one;
    `refusal` says why not. An ordinary user must call it before there are threads."""
    if _entered.pid == os.getpid():
        return not _entered.why
    _entered.pid, _entered.as_user, _entered.outside = os.getpid(), False, None
    if sys.platform != "linux":
        _entered.why = f"{sys.platform} has no overlays"
        return False
    try:
        _unshare()
        _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
        _entered.why = ""
    except OSError as error:
        _entered.why = f"no namespace for mounts: {error.strerror}"
    except InfrastructureError as error:
        _entered.why = str(error)
    spawner().close()  # the one that was started before does not see what is mounted from now on
    return not _entered.why


def refusal() -> str:
    """Why this process can mount nothing; empty if it can."""
    return _entered.why if _entered.pid == os.getpid() else "not tried"


def apart(act: Callable[[], str]) -> str:
    """What `act` says in a child process that has called `enter`, or why it could not. Raises OSError."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = act() if enter() else refusal()
        except BaseException as error:  # noqa: BLE001 - there is nobody above
            said = str(error) or type(error).__name__
        os.write(writes, said.encode("utf-8", "replace")[:_SAID_MAX])
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as answer:
        said = answer.read().decode("utf-8", "replace")
    os.waitpid(child, 0)
    return said


def outside(cwd: Path | None = None) -> Spawner | None:
    """Starts programs that need nothing of what is mounted, in the folder `cwd`. None: they can be started as any
    other, or `cwd` is in an overlay."""
    if _entered.pid != os.getpid() or (cwd is not None and not _overlays.isdisjoint((cwd, *cwd.parents))):
        return None
    return _entered.outside


def mount_overlay(lower: Path, upper: Path, work: Path, at: Path, owner: int = 0) -> None:
    """Mount at `at`: the files of `lower`, with changes going to `upper`. With an `owner`, root's files in `lower` are
    seen as the owner's, and `upper` is given to it. Raises OSError."""
    if owner:
        os.chown(upper, owner, owner)
        ids.attach(ids.shown_as(os.fsencode(lower), ids.map_to(owner), deep=False), os.fsencode(at))
        lower = at  # what is mounted on it next hides it
    named = {b"lowerdir": lower, b"upperdir": upper, b"workdir": work}
    words = [name + b"=" + _escaped(os.fsencode(path)) for name, path in named.items()]
    # Its changes need not survive a power loss, and ending it must not flush the disk.
    words += [b"volatile", b"index=off", b"metacopy=off"]
    # Without redirects, a folder of the lower layer cannot be renamed; a user's overlay has none.
    words += [b"userxattr"] if _entered.as_user else [b"redirect_dir=on"]
    _mount(b"overlay", os.fsencode(at), b"overlay", _MS_NOSUID | _MS_NODEV, b",".join(words))
    _overlays.add(at)


def unmount(at: Path) -> None:
    """Remove the mounts at `at`, if this process has some. It is no error if there is none."""
    if refusal():
        return
    _overlays.discard(at)
    for _ in range(_MOUNTS_MAX):
        if _libc().umount2(os.fsencode(at), _MNT_DETACH | _UMOUNT_NOFOLLOW) != 0:
            return


def is_mounted(at: Path) -> bool:
    """Whether this process sees a mount at the folder `at`."""
    try:
        return at.lstat().st_dev != at.parent.lstat().st_dev
    except OSError:
        return False


def _unshare() -> None:
    if os.geteuid() == 0:
        try:
            _call("unshare", _CLONE_NEWNS)
        except PermissionError:
            pass  # root of a container, without the right to mount
        else:
            return
    if threading.active_count() > 1:
        raise OSError(errno.EINVAL, "this process has threads already")
    ids = (os.geteuid(), os.getegid())
    older = Spawner(os.environ)
    older.prepare()
    try:
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNS)
    except OSError:
        older.close()
        raise
    _entered.as_user, _entered.outside = True, older
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    for name, number in zip(("uid_map", "gid_map"), ids, strict=True):
        Path("/proc/self", name).write_text(f"{number} {number} 1", encoding="ascii")


def _mount(source: bytes, at: bytes, kind: bytes | None, flags: int, data: bytes | None) -> None:
    _call("mount", source, at, kind, ctypes.c_ulong(flags), data)


def _call(name: str, *words: object) -> None:
    if getattr(_libc(), name)(*words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _escaped(path: bytes) -> bytes:
    """As the options of an overlay need it."""
    return path.replace(b"\\", b"\\\\").replace(b",", b"\\,").replace(b":", b"\\:")
