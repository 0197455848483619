"""The attacks of `test_room.py` at the level `fs`, and those that only a fence has to stop. Each row names a hole: with it
the same attack works. What the level does not hold is listed too, so that nobody believes that it does.

Rule: an attack harms nothing where it works: it reads what was laid out for it, and writes what was there already.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.attacks.outside import (
    ROOT,
    Attack,
    Hole,
    Outside,
    checkout,
    confined,
    got,
    in_shell,
    said,
    skip_where_nothing_is_got,
    writes_after_its_end,
)
from tests.rooms_here import needs_fences, needs_rooms

from interlock.core.rooms import RoomLimits
from interlock.ports import Sandbox
from interlock.process import Fence, How, Supervised, behind, supervise
from interlock.sandbox import Network, Room, confine
from interlock.sandbox.seccomp import fence_filter, refusing_filter

pytestmark = needs_fences


def _fence(work: Supervised) -> Fence:
    assert work.fence is not None
    return work.fence


def no_fence(work: Supervised, there: Outside) -> Supervised:
    return replace(work, fence=None)


def own_mounts(work: Supervised, there: Outside) -> Supervised:
    """No fence, and what is mounted is thrown away."""
    return replace(work, fence=None, argv=("unshare", "-m", "--propagation", "private", *work.argv))


def calls_of_a_room(work: Supervised, there: Outside) -> Supervised:
    """The filter refuses no more than in a room."""
    return replace(work, fence=replace(_fence(work), filter=refusing_filter()))


def any_namespace(work: Supervised, there: Outside) -> Supervised:
    return replace(work, fence=replace(_fence(work), filter=fence_filter(all_sockets=False, nested=True)))


def reads(*paths: str) -> Hole:
    def add(work: Supervised, there: Outside) -> Supervised:
        more = tuple(Path(there.fill(path)) for path in paths)
        return replace(work, fence=replace(_fence(work), reads=(*_fence(work).reads, *more)))

    return add


def writes(*paths: str) -> Hole:
    def add(work: Supervised, there: Outside) -> Supervised:
        more = tuple(Path(there.fill(path)) for path in paths)
        return replace(work, fence=replace(_fence(work), writes=(*_fence(work).writes, *more)))

    return add


def any_port(work: Supervised, there: Outside) -> Supervised:
    return replace(work, fence=replace(_fence(work), ports=None))


PTRACE = "import ctypes; print('GOT' if ctypes.CDLL(None).ptrace(16, @victim@, 0, 0) == 0 else 'no')"
TCP = "import socket; socket.create_connection(('127.0.0.1', @tcp@), 2); print('GOT')"
FAST_OPEN = "import socket; socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', @tcp@)); print('GOT')"
FAST_OPEN_MESSAGE = "import socket; socket.socket().sendmsg([b'x'], [], 0x20000000, ('127.0.0.1', @tcp@)); print('GOT')"
LISTENS = "import socket; socket.socket().listen(1); print('GOT')"
CONVERTS = (
    "import socket\n"
    "try: socket.socket().setsockopt(6, 31, b'smc')\n"
    "except PermissionError: print('no')\n"
    "except OSError: print('GOT')  # as far as this machine has other protocols"
)
MPTCP = "import socket; socket.socket(2, 1, 262).connect(('127.0.0.1', @tcp@)); print('GOT')"
ABSTRACT = "import socket; socket.socket(socket.AF_UNIX).connect('\\0@abstract@'); print('GOT')"
SOCKET = (
    "import os, socket; os.chdir(os.path.dirname('@socket@')); "
    "socket.socket(socket.AF_UNIX).connect('docker.sock'); print('GOT')"
)
PAIR = (
    "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', '@folder@/log'); print('GOT')"
)
UDP = "import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', @udp@)); print('sent')"
DISK = (
    "import os, stat\n"
    "for name in os.listdir('/dev'):\n"
    "    if stat.S_ISBLK(os.stat(f'/dev/{name}').st_mode): print('GOT', open(f'/dev/{name}', 'rb').read(1))"
)
NODE = "import os; os.mknod('dev', 0o600 | 0o020000, os.makedev(1, 3)); print('GOT')"
PATTERN = 'now=$(cat /proc/sys/kernel/core_pattern); printf %s "$now" > /proc/sys/kernel/core_pattern && echo GOT'
EBPF = (
    "import ctypes, os; attributes = (b'\\1\\0\\0\\0\\4\\0\\0\\0\\4\\0\\0\\0\\1\\0\\0\\0' + bytes(56)); "
    "print('GOT' if ctypes.CDLL(None).syscall(321, 0, attributes, 72) >= 0 else 'no')"
)
KEYRING = "import ctypes; print('GOT' if ctypes.CDLL(None).syscall(250, 0, -3, 1) > 0 else 'no')"
LIMITS = "import resource; resource.prlimit(@victim@, resource.RLIMIT_CORE, (0, 0)); print('GOT')"
SHARED_MEMORY = (
    "import ctypes; libc = ctypes.CDLL(None); made = libc.shmget(0, 8, 0o1600); libc.shmctl(made, 0, None); "
    "print('GOT' if made >= 0 else 'no')"
)
MADE = "import os; os.close(os.open('made', os.O_CREAT | os.O_WRONLY, 0o4755)); print('GOT')"
MKNOD = "import os; os.mknod('made', 0o104755); print('GOT')"
CHMOD = "import os; os.chmod('/proc/self/cwd/mine', 0o4755); print('GOT')"

ATTACKS = (
    Attack("01-environment-of-a-process", "grep -qz TOPSECRET /proc/@victim@/environ && echo GOT", no_fence),
    Attack("02-key-in-the-users-home", "grep -q TOPSECRET @key@ && echo GOT", reads("@key@")),
    Attack(
        "02-key-of-interlock-dev", "grep -q TOPSECRET @folder@/dev/payloads.key && echo GOT", reads("@folder@/dev")
    ),
    Attack("02-by-a-link", "ln -s @key@ link; grep -q TOPSECRET link && echo GOT", reads("@key@")),
    Attack("02-by-a-hard-link", "ln @key@ link && echo GOT", no_fence),
    Attack("02-through-another-process", "cat /proc/@victim@/root@key@ && echo GOT", no_fence),
    Attack("02-through-its-own-root", "cat /proc/self/root@key@ && echo GOT", reads("@key@")),
    Attack("02-names-in-the-home", "ls @folder@/ann && echo GOT", reads("@folder@/ann")),
    Attack("03-shadow", "grep -q root: /etc/shadow && echo GOT", reads("/etc/shadow"), root=True),
    Attack("04-store", ": > @store@/refs/heads/evil && echo GOT", writes("@store@")),
    Attack("05-setup-cache", ": > @cache@/evil && echo GOT", writes("@cache@")),
    Attack("06-journal", "printf TOPSECRET > @journal@ && echo GOT", writes("@journal@")),
    Attack("06-journal-cut-off", "import os; os.truncate('@journal@', 9); print('GOT')", writes("@journal@")),
    Attack("06-journal-removed", "rm @journal@ && echo GOT", writes("@folder@")),
    Attack("07-another-room", ": > @other@/evil && echo GOT", writes("@other@")),
    Attack("07-own-log", "cat ../output/notes && echo GOT", reads("@folder@/one/output")),
    Attack("07-beside-its-tree", ": > ../evil && echo GOT", writes("@folder@/one")),
    Attack("08-signal", "kill -0 @victim@ && echo GOT", no_fence),
    Attack("08-signal-to-its-supervisor", "kill -0 $PPID && echo GOT", no_fence),
    Attack("08-limits-of-a-process", LIMITS, calls_of_a_room),
    Attack("09-ptrace", PTRACE, no_fence),
    Attack("10-loopback", TCP, any_port),
    Attack("10-fast-open", FAST_OPEN, calls_of_a_room),
    Attack("10-fast-open-in-a-message", FAST_OPEN_MESSAGE, calls_of_a_room),
    Attack("10-another-protocol", MPTCP, calls_of_a_room, needs="/proc/sys/net/mptcp/enabled"),
    Attack("10-a-port-that-nobody-bound", LISTENS, calls_of_a_room),
    Attack("10-a-socket-that-changes", CONVERTS, calls_of_a_room),
    Attack("11-abstract-socket", ABSTRACT, no_fence),
    Attack("12-socket-of-a-daemon", SOCKET, calls_of_a_room),
    Attack("12-datagram-to-a-daemon", PAIR, calls_of_a_room),
    Attack("13-udp", UDP, calls_of_a_room),
    Attack("15-mount", "mount -t tmpfs none /tmp && echo GOT", own_mounts, True, needs="/usr/bin/mount"),
    Attack("16-user-namespace", "unshare -U true && echo GOT", any_namespace, needs="/usr/bin/unshare"),
    Attack("17-raw-disk", DISK, reads("/dev"), root=True, needs="/dev/vda"),
    Attack("18-device-node", NODE, no_fence, root=True),
    Attack("19-settings-of-the-kernel", PATTERN, writes("/proc/sys"), root=True),
    Attack("19-sys", "ls /sys/kernel && echo GOT", reads("/sys")),
    Attack("20-cgroups", "ls /sys/fs/cgroup && echo GOT", reads("/sys"), needs="/sys/fs/cgroup"),
    Attack("21-files-of-the-system", ": >> /usr/lib/os-release && echo GOT", writes("/usr"), root=True),
    Attack("24-ebpf", EBPF, no_fence, root=True),
    Attack("24-keyring", KEYRING, no_fence),
    Attack("24-log-of-the-kernel", "dmesg -S | grep -q . && echo GOT", no_fence, True, "/usr/bin/dmesg"),
    Attack("shared-memory", SHARED_MEMORY, calls_of_a_room),
    Attack("shared-memory-by-path", ": > /dev/shm/interlock-attack && rm /dev/shm/interlock-attack && echo GOT",
           writes("/dev/shm"), needs="/dev/shm"),
    Attack("29-setuid-file", f"import os; open('mine', 'w').close(); {CHMOD}", calls_of_a_room),
    Attack("29-setuid-file-made-so", MADE, calls_of_a_room),
    Attack("29-setuid-file-of-mknod", MKNOD, calls_of_a_room),
)  # fmt: skip


# Those that no other file tries in a room.
_OWN = ("08-limits", "10-fast-open", "10-another-protocol", "12-datagram")
OWN = tuple(row for row in ATTACKS if row.id.startswith(_OWN))


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.id)
def test_nothing_is_got(row: Attack, there: Outside) -> None:
    assert not got(there, confined(row.script, there, "fs"))


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.id)
def test_without_its_defence_it_is(row: Attack, there: Outside) -> None:
    skip_where_nothing_is_got(row)
    assert got(there, row.hole(confined(row.script, there, "fs"), there))


# What docs/security.md says of the level: not held.
OPEN = (
    Attack("processes-are-seen", "grep -qz sleep /proc/@victim@/cmdline && echo GOT", no_fence),
    Attack("names-and-sizes", "test -s @key@ && echo GOT", no_fence),
    Attack("modes-of-the-users-files", "chmod 600 @key@ && echo GOT", no_fence),
    Attack("times-of-the-users-files", "import os; os.utime('@key@'); print('GOT')", no_fence),
    Attack("slowing-down", "renice -n 19 -p @victim@ && echo GOT", no_fence),
)


@pytest.mark.parametrize("row", OPEN, ids=lambda row: row.id)
def test_what_a_fence_does_not_hold(row: Attack, there: Outside) -> None:
    if row.id == "slowing-down" and ROOT:
        pytest.skip("processes of root have more rights than one behind a fence, so that they are out of its reach")
    assert got(there, confined(row.script, there, "fs"))


@needs_rooms
@pytest.mark.parametrize("row", [*OWN, *OPEN], ids=lambda row: row.id)
def test_in_a_room_nothing_of_it_is_got(row: Attack, there: Outside) -> None:
    assert not got(there, confined(row.script, there, "full"))


def test_with_an_open_network_the_machines_own_ports_are_reached(there: Outside) -> None:
    assert got(there, confined(TCP, there, "fs", Network.OPEN))
    assert got(there, confined(UDP, there, "fs", Network.OPEN))
    for script in (ABSTRACT, SOCKET, PAIR):
        assert not got(there, confined(script, there, "fs", Network.OPEN))


def test_no_namespace_of_its_own_gives_rights_back(there: Outside) -> None:
    """`nested` allows user namespaces; with all rights in one, nothing is mounted."""
    script = "unshare -Um sh -c 'echo ns; mount -t tmpfs none /tmp && echo GOT; cat @key@ && echo GOT'"
    done = supervise(any_namespace(confined(script, there, "fs"), there), threading.Event())
    assert b"ns" in done.tail
    assert b"GOT" not in done.tail


# --- what takes more than a script ------------------------------------------------------------------


@pytest.mark.parametrize("hole", [False, True])
def test_21_no_terminal_is_reached(hole: bool, there: Outside) -> None:
    """The user's terminals belong to the same user."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    work = confined(f"echo typed > {name} && echo GOT", there, "fs")
    assert got(there, writes(name)(work, there) if hole else work) == hole
    for file in (ours, theirs):
        os.close(file)


@pytest.mark.parametrize("times", [30, pytest.param(1000, marks=pytest.mark.nightly)])
def test_22_nothing_is_written_after_the_end(times: int, tmp_path: Path) -> None:
    made = checkout(tmp_path, "fs")
    script = "kill -9 $PPID; for i in 1 2 3; do setsid sh -c 'while :; do echo x >> late; done' & done; sleep 0.01"
    assert not any(writes_after_its_end(script, made) for _ in range(times))


def test_23_no_descriptor_is_inherited(there: Outside) -> None:
    assert said(confined("ls /proc/self/fd", there, "fs")).split() == ["0", "1", "2", "3"]  # 3 is its own


@pytest.mark.parametrize("hole", [False, True])
def test_23_an_open_file_would_be_read(hole: bool, there: Outside) -> None:
    """Rules of files do not hold for what is open already."""
    fence = _fence(confined("true", there, "fs"))
    with there.key.open() as key:
        words = behind(fence.wire, (sys.executable, "-c", f"import os; print(os.read({key.fileno()}, 9))"))
        done = subprocess.run(words, pass_fds=[key.fileno()] if hole else [], capture_output=True, text=True)
    assert ("TOPSECRET" in done.stdout) == hole, done


LIMITS = RoomLimits(file_bytes=400_000_000, disk_bytes=30_000_000, files=1_000)
WRITERS = {
    "disk": "for n in 1 2 3 4 5 6 7 8; do head -c 10000000 /dev/zero > f$n; done; sleep 60",
    "files": "seq 5000 | xargs touch; sleep 60",
    "file_size": "truncate -s 500M f",
}


@pytest.mark.parametrize("name", WRITERS)
def test_27_what_it_writes_is_limited(name: str, tmp_path: Path) -> None:
    made = replace(checkout(tmp_path, "fs"), sandbox=Sandbox("fs", limits=LIMITS))
    done = supervise(confine(in_shell(WRITERS[name], made, 60), Room(made)), threading.Event())
    assert (done.how, done.over.partition(":")[0]) == (How.OVER_LIMIT, name)
