"""A room: how one program is confined.

Rule: bubblewrap is started with the environment of the room and nothing else, since that is what the first process in
the room shows. What its own loader would obey (LD_*) is set only inside.
Rule: of the folders of a checkout a room has tree, home, /tmp, and those that its caller names: the log and the notes
about the supervisor are out of its reach.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from interlock.ports import Checkout, InfrastructureError
from interlock.process import BLOCK_FD, FILTER_FD, FIRST_FILE_FD, STATUS_FD, Confined, Serve, Supervised
from interlock.sandbox.fence import fenced
from interlock.sandbox.limits import limits_of
from interlock.sandbox.network import listeners, variables
from interlock.sandbox.owner import owner_of, take_over, with_real_sources
from interlock.sandbox.program import find_bwrap
from interlock.sandbox.reads import ETC, ETC_OF_NETWORK, SYSTEM, named_paths, programs_of
from interlock.sandbox.seccomp import refusing_filter

_ETC = Path(__file__).parent / "etc"
_UID = "1000"
_NAME = "room"
_COPIED_MAX = 1_000_000  # bytes of a file


class Network(StrEnum):
    NONE = "none"  # not even the machine's loopback
    OPEN = "open"  # all that the machine reaches


@dataclass(frozen=True, slots=True)
class Room:
    """What a program sees beside the system and the user's programs: tree, home and tmp of its checkout, and what else
    of it that it may write or read. `terminal`: it is for a person at a terminal, and stays in its session."""

    checkout: Checkout
    network: Network = Network.NONE
    hosts: tuple[str, ...] = ()  # the only ones that are reached if there is no network
    writes: tuple[Path, ...] = ()
    reads: tuple[Path, ...] = ()
    serves: tuple[tuple[int, Serve], ...] = ()  # ports on its loopback, if it has a network of its own
    terminal: bool = False
    judges: bool = False  # of its programs none may reach into another one, which may be the judge of it
    taken: bool = False  # what the program leaves in its tree is read

    @property
    def is_open(self) -> bool:
        return self.network is Network.OPEN

    @property
    def is_apart(self) -> bool:
        return self.judges and not self.checkout.sandbox.nested


def confine(work: Supervised, room: Room) -> Supervised:
    """`work` as a program that does the same in a room, if the level of its checkout says so. Words and variables of
    `work` have the paths that the program sees (`checkout.seen`). Raises InfrastructureError."""
    checkout = room.checkout
    if checkout.sandbox.level == "none":
        return work
    if checkout.sandbox.level == "fs":
        return fenced(work, room)
    bwrap = find_bwrap(os.environ)
    if not bwrap.path:
        raise InfrastructureError(f"sandbox: {bwrap.why}", permanent=True)
    take_over(checkout)
    calls = refusing_filter(apart=room.is_apart)
    proxy = listeners(room.hosts) if room.hosts and room.network is Network.NONE else ()
    listening = (*proxy, *room.serves)
    env = {**work.env, **(variables() if proxy else {})}
    shown = {name: value for name, value in env.items() if not name.startswith("LD_")}
    etc = _etc(room.network)
    argv = (
        bwrap.path,
        *_system(),
        *_placed(etc),
        *_kernel(),
        *("--bind", str(checkout.tmp), "/tmp"),
        *_programs(work, checkout),
        *_places(room),
        *_apart(room),
        *(word for name, value in env.items() if name not in shown for word in ("--setenv", name, value)),
        *(() if room.terminal else ("--new-session",)),
        *("--json-status-fd", str(STATUS_FD)),
        *(("--seccomp", str(FILTER_FD)) if calls else ()),
        *(("--block-fd", str(BLOCK_FD)) if listening else ()),
        *("--chdir", checkout.seen(work.cwd), "--", *work.argv),
    )
    confined = Confined(work.argv[0], calls, listening, maker=bwrap.path, files=tuple(etc.copied.values()))
    if owner := owner_of(checkout):
        argv, own = with_real_sources(argv)
        confined = replace(confined, owner=owner, own=own, needs=bwrap.needs)
    limits = limits_of(checkout, room.writes, taken=room.taken)
    return replace(work, argv=argv, env=shown, confined=confined, limits=limits)


def _system() -> Iterator[str]:
    for path in map(Path, SYSTEM):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))


@dataclass(frozen=True, slots=True)
class _Etc:
    """What a room has in /etc, by its path there: files that are copied into it, and what is bound."""

    copied: dict[str, Path]
    bound: dict[str, Path]


def _etc(network: Network) -> _Etc:
    """Small files are copied: a mount of one takes as long as ten copies. What may change while a program works, since
    the network changes, is bound."""
    copied: dict[str, Path] = {}
    bound = {"/etc/hosts": _ETC / "hosts"} if network is Network.NONE else {}
    for path in (*(Path("/etc", name) for name in ETC), _ETC / "passwd", _ETC / "group"):
        seen = str(path) if path.parent != _ETC else f"/etc/{path.name}"
        if _may_be_copied(path):
            copied[seen] = path
        elif path.exists():
            bound[seen] = path
    if network is Network.OPEN:
        bound |= {str(path): path for name in ETC_OF_NETWORK if (path := Path("/etc", name)).exists()}
    return _Etc(copied, bound)


def _may_be_copied(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size <= _COPIED_MAX and bool(found.st_mode & stat.S_IROTH)


def _placed(etc: _Etc) -> Iterator[str]:
    for number, seen in enumerate(etc.copied, FIRST_FILE_FD):
        yield from ("--perms", "0444", "--file", str(number), seen)
    for seen, path in etc.bound.items():
        yield from ("--ro-bind", str(path), seen)


def _kernel() -> Iterator[str]:
    yield from ("--proc", "/proc", "--dev", "/dev", "--symlink", "/tmp", "/var/tmp")
    for memory in ("/proc/1/mem", "/proc/1/task/1/mem"):  # of bubblewrap, which says how the program ended
        yield from ("--ro-bind", "/dev/null", memory)
    for setting in _kernel_settings():
        yield from ("--ro-bind", setting, setting)


@cache
def _kernel_settings() -> tuple[str, ...]:
    """What root may write in /proc by its id alone, without any right: settings of the kernel, such as the program that
    it starts for a core dump."""
    folders = [
        f"/proc/{name}" for name in ("sys", "pressure", "fs", "scsi", "acpi", "driver") if Path("/proc", name).is_dir()
    ]
    with os.scandir("/proc") as entries:
        files = [one.path for one in entries if one.is_file(follow_symlinks=False) and one.stat().st_mode & 0o222]
    return tuple(sorted([*folders, *files]))


def _programs(work: Supervised, checkout: Checkout) -> Iterator[str]:
    found = programs_of(work.env.get("PATH", os.defpath), checkout.root)
    for path in (*found.paths, *named_paths(checkout.sandbox.read)):
        yield from ("--ro-bind", str(path), str(path))
    for link, target in found.links:
        yield from ("--symlink", target, str(link))


def _places(room: Room) -> Iterator[str]:
    checkout = room.checkout
    for path in (checkout.tree, checkout.home, *room.writes):
        yield from ("--bind", str(path), checkout.seen(path))
    for path in room.reads:
        yield from ("--ro-bind", str(path), checkout.seen(path))
    yield from ("--remount-ro", "/")
    if room.is_apart:  # nobody writes to the memory of another one, by /proc/PID/mem
        yield from ("--remount-ro", "/proc")


def _apart(room: Room) -> Iterator[str]:
    """Namespaces and rights of its own."""
    yield from ("--unshare-user", "--uid", _UID, "--gid", _UID, "--unshare-pid", "--unshare-ipc")
    yield from ("--unshare-uts", "--hostname", _NAME, "--unshare-cgroup-try", "--cap-drop", "ALL")
    yield "--die-with-parent"
    if room.network is Network.NONE:
        yield "--unshare-net"
    if not room.checkout.sandbox.nested:
        yield "--disable-userns"
