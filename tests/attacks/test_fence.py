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
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.attacks.outside import Outside, outside
from tests.rooms_here import needs_fences, needs_rooms

from interlock.core.pipeline import RoomLimits
from interlock.ports import Checkout, Sandbox
from interlock.process import Fence, How, Supervised, behind, checkout_environment, supervise
from interlock.sandbox import Network, Room, confine
from interlock.sandbox.seccomp import fence_filter, refusing_filter

pytestmark = needs_fences

ROOT = os.geteuid() == 0
Hole = Callable[[Supervised, Outside], Supervised]


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


@dataclass(frozen=True, slots=True)
class Attack:
    """A script for the shell, or for Python if it has `import` in it: it prints GOT if it got something. `root`: without
    the hole's defence only root would get it. `needs`: a path without which there is nothing to get."""

    id: str
    script: str
    hole: Hole
    root: bool = False
    needs: str = "/"


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


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Outside]:
    before = Path.cwd()
    with outside(tmp_path) as made:
        yield made
    os.chdir(before)


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.id)
def test_nothing_is_got(row: Attack, there: Outside) -> None:
    assert not _got(there, _behind_fence(row.script, there))


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.id)
def test_without_its_defence_it_is(row: Attack, there: Outside) -> None:
    if row.root and not ROOT:
        pytest.skip("without this defence only root would get it")
    if not Path(row.needs).exists():
        pytest.skip(f"there is no {row.needs}: nothing to get")
    assert _got(there, row.hole(_behind_fence(row.script, there), there))


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
    assert _got(there, _behind_fence(row.script, there))


@needs_rooms
@pytest.mark.parametrize("row", [*OWN, *OPEN], ids=lambda row: row.id)
def test_in_a_room_nothing_of_it_is_got(row: Attack, there: Outside) -> None:
    work = _bare(row.script, there)
    assert not _got(there, confine(work, Room(_checkout(there.folder / "one", "full"))))


def test_with_an_open_network_the_machines_own_ports_are_reached(there: Outside) -> None:
    assert _got(there, _behind_fence(TCP, there, Network.OPEN))
    assert _got(there, _behind_fence(UDP, there, Network.OPEN))
    for script in (ABSTRACT, SOCKET, PAIR):
        assert not _got(there, _behind_fence(script, there, Network.OPEN))


def test_no_namespace_of_its_own_gives_rights_back(there: Outside) -> None:
    """`nested` allows user namespaces; with all rights in one, nothing is mounted."""
    script = "unshare -Um sh -c 'echo ns; mount -t tmpfs none /tmp && echo GOT; cat @key@ && echo GOT'"
    done = supervise(any_namespace(_behind_fence(script, there), there), threading.Event())
    assert b"ns" in done.tail
    assert b"GOT" not in done.tail


# --- what takes more than a script ------------------------------------------------------------------


@pytest.mark.parametrize("hole", [False, True])
def test_21_no_terminal_is_reached(hole: bool, there: Outside) -> None:
    """The user's terminals belong to the same user."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    work = _behind_fence(f"echo typed > {name} && echo GOT", there)
    assert _got(there, writes(name)(work, there) if hole else work) == hole
    for file in (ours, theirs):
        os.close(file)


@pytest.mark.parametrize("times", [30, pytest.param(1000, marks=pytest.mark.nightly)])
def test_22_nothing_is_written_after_the_end(times: int, tmp_path: Path) -> None:
    made = _checkout(tmp_path)
    script = "kill -9 $PPID; for i in 1 2 3; do setsid sh -c 'while :; do echo x >> late; done' & done; sleep 0.01"
    for _ in range(times):
        work = Supervised(("/bin/sh", "-c", script), made.tree, _env(made), tmp_path / "output/log", 20)
        assert supervise(confine(work, Room(made)), threading.Event()).code == 0
        late = made.tree / "late"
        size = late.stat().st_size if late.exists() else 0
        time.sleep(0.003)
        assert (late.stat().st_size if late.exists() else 0) == size
        late.unlink(missing_ok=True)


def test_23_no_descriptor_is_inherited(there: Outside) -> None:
    assert _said(_behind_fence("ls /proc/self/fd", there)).split() == ["0", "1", "2", "3"]  # 3 is its own


@pytest.mark.parametrize("hole", [False, True])
def test_23_an_open_file_would_be_read(hole: bool, there: Outside) -> None:
    """Rules of files do not hold for what is open already."""
    fence = _fence(_behind_fence("true", there))
    with there.key.open() as key:
        words = behind(fence.wire, (sys.executable, "-c", f"import os; print(os.read({key.fileno()}, 9))"))
        done = subprocess.run(words, pass_fds=[key.fileno()] if hole else [], capture_output=True, text=True)
    assert ("TOPSECRET" in done.stdout) == hole, done


def _behind_fence(script: str, there: Outside, network: Network = Network.NONE) -> Supervised:
    return confine(_bare(script, there), Room(_checkout(there.folder / "one"), network))


def _bare(script: str, there: Outside) -> Supervised:
    made = _checkout(there.folder / "one")
    (made.root / "output/notes").write_text("about the supervisor")
    script = there.fill(script)
    words = (sys.executable, "-c", script) if script.startswith("import ") else ("/bin/sh", "-c", script)
    return Supervised(words, made.tree, _env(made), made.root / "output/log", 20)


def _env(made: Checkout) -> dict[str, str]:
    return checkout_environment(os.environ, made)


def _checkout(folder: Path, level: str = "fs") -> Checkout:
    made = Checkout(folder, folder / "tree", folder / "home", folder / "tmp", sandbox=Sandbox(level))
    for one in (made.tree, made.home, made.tmp, folder / "output"):
        one.mkdir(parents=True, exist_ok=True)
    return made


def _said(work: Supervised) -> str:
    return supervise(work, threading.Event()).tail.decode("utf-8", "replace")


def _got(there: Outside, work: Supervised) -> bool:
    said = _said(work)
    if "sent" in said:
        try:
            return there.udp.recv(10) == b"x"
        except BlockingIOError:
            return False
    return "GOT" in said


LIMITS = RoomLimits(file_bytes=400_000_000, disk_bytes=30_000_000, files=1_000)
WRITERS = {
    "disk": "for n in 1 2 3 4 5 6 7 8; do head -c 10000000 /dev/zero > f$n; done; sleep 60",
    "files": "seq 5000 | xargs touch; sleep 60",
    "file_size": "truncate -s 500M f",
}


@pytest.mark.parametrize("name", WRITERS)
def test_27_what_it_writes_is_limited(name: str, tmp_path: Path) -> None:
    made = replace(_checkout(tmp_path), sandbox=Sandbox("fs", limits=LIMITS))
    work = Supervised(("/bin/sh", "-c", WRITERS[name]), made.tree, _env(made), tmp_path / "output/log", 60)
    done = supervise(confine(work, Room(made)), threading.Event())
    assert (done.how, done.over.partition(":")[0]) == (How.OVER_LIMIT, name)
