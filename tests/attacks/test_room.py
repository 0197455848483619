"""Attacks on what is outside of a room, by a program in it: at the level `full` none gets anything. Each row names a hole:
with it the same attack works, so the row shows that it is this defence that holds. At `none` most of them work.

Rule: an attack harms nothing where it works: it reads what was laid out for it, and writes what was there already.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.attacks.outside import (
    ROOT,
    Attack,
    Outside,
    also,
    bare,
    checkout,
    confined,
    early,
    got,
    owned,
    several,
    skip_where_nothing_is_got,
    unscoped,
    with_descriptor,
    with_environment,
    with_options_shown,
    without,
    without_files,
    writes_after_its_end,
)
from tests.rooms_here import needs_rooms

from interlock.process import holds_scopes, supervise
from interlock.process.table import descendants

pytestmark = needs_rooms

SEES_PROCESSES = several(without("--unshare-pid", "--proc /proc"), early("--dev-bind", "/proc", "/proc"), unscoped)
ON_THE_NETWORK = several(without("--unshare-net"), unscoped)
FULL_RIGHTS = several(without("--cap-drop ALL", "--disable-userns"), also("--cap-add", "ALL"))
ANY_CALL = without("--seccomp 4")
AS_ROOT = several(without("--unshare-user", "--uid 1000", "--gid 1000"), FULL_RIGHTS)
SEES_AS_ROOT = several(SEES_PROCESSES, AS_ROOT)


ATTACKS = (
    Attack("01-environment-of-a-process", "grep -qz TOPSECRET /proc/@victim@/environ && echo GOT", SEES_AS_ROOT, True),
    Attack("01-environment-of-the-first-process", "grep -qz TOPSECRET /proc/1/environ && echo GOT", with_environment, bare="held"),
    Attack(
        "01-paths-of-the-machine",
        "tr '\\0' '\\n' < /proc/1/cmdline | grep -q '^@folder@/' && echo GOT",
        with_options_shown,
        bare="held",
    ),
    Attack("02-key-in-the-users-home", "grep -q TOPSECRET @key@ && echo GOT", early("--ro-bind", "@key@", "@key@")),
    Attack(
        "02-key-of-interlock-dev",
        "grep -q TOPSECRET @folder@/dev/payloads.key && echo GOT",
        early("--ro-bind", "@folder@/dev", "@folder@/dev"),
    ),
    Attack("02-through-another-process", "cat /proc/@victim@/root@key@ && echo GOT", SEES_AS_ROOT, True),
    Attack("03-shadow", "grep -q root: /etc/shadow && echo GOT", early("--ro-bind", "/etc", "/etc"), root=True),
    Attack("04-store", ": > @store@/refs/heads/evil && echo GOT", early("--bind", "@store@", "@store@")),
    Attack("05-setup-cache", ": > @cache@/evil && echo GOT", early("--bind", "@cache@", "@cache@")),
    Attack("06-journal", "printf TOPSECRET > @journal@ && echo GOT", early("--bind", "@journal@", "@journal@")),
    Attack("07-another-room", ": > @other@/evil && echo GOT", early("--bind", "@other@", "@other@")),
    Attack("07-own-log", "ls /w/output && echo GOT", early("--bind", "@folder@/one/output", "/w/output"), bare="held"),
    Attack("08-signal", "kill -0 @victim@ && echo GOT", SEES_PROCESSES),
    Attack(
        "09-ptrace",
        "import ctypes; print('GOT' if ctypes.CDLL(None).ptrace(16, @victim@, 0, 0) == 0 else 'no')",
        SEES_AS_ROOT,
        root=True,
    ),
    Attack(
        "10-loopback", "import socket; socket.create_connection(('127.0.0.1', @tcp@), 2); print('GOT')", ON_THE_NETWORK
    ),
    Attack(
        "11-abstract-socket",
        "import socket; socket.socket(socket.AF_UNIX).connect('\\0@abstract@'); print('GOT')",
        ON_THE_NETWORK,
    ),
    Attack(
        "12-socket-of-a-daemon",
        "import os, socket; os.chdir(os.path.dirname('@socket@')); "
        "socket.socket(socket.AF_UNIX).connect('docker.sock'); print('GOT')",
        early("--ro-bind", "@socket@", "@socket@"),
    ),
    Attack(
        "13-udp",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @udp@)); "
        "print('sent')",
        ON_THE_NETWORK,
    ),
    Attack("15-mount", "mount -t tmpfs none /tmp && echo GOT", AS_ROOT, True, "/usr/bin/mount", "harms"),
    Attack("16-user-namespace", "unshare -Ur true && echo GOT", without("--disable-userns"), needs="/usr/bin/unshare"),
    Attack(
        "17-raw-disk",
        "import os, stat\n"
        "for name in os.listdir('/dev'):\n"
        "    if stat.S_ISBLK(os.stat(f'/dev/{name}').st_mode): print('GOT', open(f'/dev/{name}', 'rb').read(1))",
        early("--dev-bind", "/dev", "/dev"),
        root=True,
        needs="/dev/vda",
    ),
    Attack(
        "18-device-node",
        "import os; os.mknod('dev', 0o600 | 0o020000, os.makedev(1, 3)); print('GOT')",
        AS_ROOT,
        root=True,
    ),
    Attack(
        "19-settings-of-the-kernel",
        "now=$(cat /proc/sys/kernel/core_pattern); printf %s \"$now\" > /proc/sys/kernel/core_pattern && echo GOT",
        without("--ro-bind /proc/sys /proc/sys"),
        root=True,
    ),
    Attack("19-sys", "ls /sys/kernel && echo GOT", early("--ro-bind", "/sys", "/sys")),
    Attack("20-cgroups", "ls /sys/fs/cgroup && echo GOT", early("--ro-bind", "/sys", "/sys"), needs="/sys/fs/cgroup"),
    Attack(
        "21-files-of-the-system",
        "test -w /usr && echo GOT",
        several(without("--ro-bind /usr /usr"), early("--bind", "/usr", "/usr")),
        root=True,
    ),
    Attack("23-inherited-descriptor", "cat <&9 && echo GOT", with_descriptor, bare="held"),
    Attack(
        "24-ebpf",
        "import ctypes, os; attributes = (b'\\1\\0\\0\\0\\4\\0\\0\\0\\4\\0\\0\\0\\1\\0\\0\\0' + bytes(56)); "
        "print('GOT' if ctypes.CDLL(None).syscall(321, 0, attributes, 72) >= 0 else 'no')",
        several(AS_ROOT, ANY_CALL),
        root=True,
    ),
    Attack(
        "24-keyring",
        "import ctypes; print('GOT' if ctypes.CDLL(None).syscall(250, 0, -3, 1) > 0 else 'no')",
        ANY_CALL,
    ),
    Attack("24-log-of-the-kernel", "dmesg -S | grep -q . && echo GOT", several(AS_ROOT, ANY_CALL), True, "/usr/bin/dmesg"),
)  # fmt: skip


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.id)
def test_nothing_is_got(row: Attack, there: Outside) -> None:
    assert not got(there, confined(row.script, there, "full"))


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.id)
def test_without_its_defence_it_is(row: Attack, there: Outside) -> None:
    skip_where_nothing_is_got(row)
    assert got(there, owned(row.hole(confined(row.script, there, "full"), there), there))


@pytest.mark.parametrize("row", [row for row in ATTACKS if row.bare != "harms"], ids=lambda row: row.id)
def test_at_none_it_is(row: Attack, there: Outside) -> None:
    """The level `none` promises nothing of this: what works there is not called held anywhere."""
    skip_where_nothing_is_got(row)
    assert got(there, bare(row.script, there, "full")) == (row.bare == "works")


# With an open network a room shares the network of the machine, and some of what holds else does not.
SHARED = without("--unshare-net")


@pytest.mark.parametrize("hole", [False, True])
@pytest.mark.parametrize("number", ["08", "11"])
def test_sockets_and_signals_have_a_second_defence(number: str, hole: bool, there: Outside) -> None:
    """It is the only one for abstract sockets in an open network. Of signals root is kept by its id, too."""
    if not holds_scopes():
        pytest.skip("this kernel has no Landlock with scopes (Linux 6.12): doctor says so")
    [row] = [row for row in ATTACKS if row.id.startswith(number)]
    work = (SHARED if number == "11" else without("--unshare-pid", "--proc /proc"))(
        confined(row.script, there, "full"), there
    )
    if number == "08":
        work = early("--dev-bind", "/proc", "/proc")(work, there)
    assert got(there, owned(unscoped(work, there), there) if hole else owned(work, there)) == hole


def test_10_an_open_network_reaches_ports_of_this_machine(there: Outside) -> None:
    """The user's word, `network: true`; nothing else than a list of hosts, or none, prevents it."""
    [row] = [row for row in ATTACKS if row.id.startswith("10")]
    assert got(there, SHARED(confined(row.script, there, "full"), there))


# What root alone may, with what is bound from the system: as an ordinary user Interlock owns nothing of it.
OF_ROOT = (
    ("read", "cat /etc/of-root && echo GOT"),
    ("mode", "chmod 644 /etc/of-root && echo GOT"),
    ("times", "touch -d 2001-01-01 /etc/of-root && echo GOT"),
    ("attributes", "import os; os.setxattr('/etc/of-root', 'user.a', b'b'); print('GOT')"),
)


@pytest.mark.skipif(not ROOT, reason="only where Interlock is root there is something to get")
@pytest.mark.parametrize("hole", [False, True])
@pytest.mark.parametrize("script", [row[1] for row in OF_ROOT], ids=[row[0] for row in OF_ROOT])
def test_what_is_roots_alone_is_not_its_own(script: str, hole: bool, there: Outside) -> None:
    """Also where it could be written: that the system is read-only is another defence."""
    there.key.chmod(0o600)
    work = early("--bind", "@key@", "/etc/of-root")(confined(script, there, "full"), there)
    assert got(there, owned(work, there) if hole else work) == hole


@pytest.mark.skipif(not ROOT, reason="only root can start programs as another one")
@pytest.mark.parametrize("hole", [False, True])
def test_its_id_on_the_machine_is_nobodys(hole: bool, there: Outside) -> None:
    work = confined("echo begun > begun; sleep 60", there, "full")
    seen: set[int] = set()
    ends = threading.Event()

    def look() -> None:
        while not (there.folder / "one/tree/begun").exists():
            time.sleep(0.01)
        below = (one.pid for one in descendants({os.getpid()}) if one.pid != there.victim)
        seen.update(Path(f"/proc/{pid}").stat().st_uid for pid in below)
        ends.set()

    looks = threading.Thread(target=look)
    looks.start()
    supervise(owned(work, there) if hole else work, ends)
    looks.join()
    others = seen - {0}
    assert (not others) == hole
    for one in others:
        with pytest.raises(KeyError):
            pwd.getpwuid(one)


# --- what takes more than a script ------------------------------------------------------------------

# Without our supervisor, which is a defence of its own.
ALONE = several(without("--seccomp 4", "--json-status-fd 3"), without_files)
LATE = "setsid sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.05; echo x >> late; done' & sleep 0.02"


@pytest.mark.parametrize("hole", [False, True])
def test_22_a_daemon_ends_with_the_room(hole: bool, there: Outside) -> None:
    work = ALONE(confined(LATE, there, "full"), there)
    if hole:
        work = without("--unshare-pid", "--proc /proc")(work, there)
    quiet = subprocess.DEVNULL
    subprocess.run(work.argv, env=work.env, stdin=quiet, stdout=quiet, stderr=quiet, check=True)
    time.sleep(0.7)
    assert (there.folder / "one/tree/late").exists() == hole


@pytest.mark.parametrize("times", [30, pytest.param(1000, marks=pytest.mark.nightly)])
def test_22_nothing_is_written_after_the_end(times: int, tmp_path: Path) -> None:
    made = checkout(tmp_path, "full")
    script = "for i in 1 2 3; do setsid sh -c 'while :; do echo x >> late; done' & done; sleep 0.01"
    assert not any(writes_after_its_end(script, made) for _ in range(times))


@pytest.mark.parametrize("hole", [False, True])
def test_21_the_terminal_is_out_of_reach(hole: bool, there: Outside) -> None:
    """With it, a program types into the shell of the user."""
    work = ALONE(confined("(exec 5<>/dev/tty) && echo GOT", there, "full"), there)
    if hole:
        work = without("--new-session")(work, there)
    typed = (sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", *work.argv)
    done = subprocess.run(typed, env=work.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert ("GOT" in done.stdout) == hole, done
