"""Whether fences hold on this machine: a program is put behind one, and what it may do is tried."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from interlock.ports import Checkout, InfrastructureError, Sandbox
from interlock.process import How, Supervised, landlock_abi, scrubbed, supervise
from interlock.sandbox.room import Room, confine
from interlock.sandbox.seccomp import fence_filter

ABI_NEEDED = 6  # Linux 6.12
_TIMEOUT_S = 20.0
# By version of Landlock: what does not hold below it.
_LACKS = {
    2: "files could not be moved between folders",
    3: "files outside could be cut off",
    4: "TCP could not be refused",
    5: "devices would take any order",
    6: "processes outside could be sent signals, and their abstract sockets reached",
}
_SOCKETS = """
import socket, sys
for kind in ((socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)):
    try:
        sys.exit(f"got {socket.socket(*kind)}")
    except PermissionError:
        pass
try:
    socket.create_connection(("127.0.0.1", 9), 2)
except PermissionError:
    sys.exit(0)
sys.exit("TCP")
"""
# What must hold behind a fence, and a shell command that succeeds if it does.
_HOLDS = {
    "files outside are not read": "! cat {outside}/key",
    "your home is not read": "! ls {home}/",
    "files outside are not written": "! (echo x > {outside}/key) && ! (: > {outside}/new) && ! (: > ../new)",
    "files outside are not removed or moved": "! rm -f {outside}/key && ! mv {outside}/key moved",
    "its own folders can be written": "(: > written) && (: > ~/written) && (: > $TMPDIR/written) && mv written ~/moved",
    "what other processes have is not read": "! cat /proc/{pid}/environ",
    "other processes get no signals": "! kill -0 {pid}",
    "settings of the kernel cannot be written": "! (: >> /proc/sys/kernel/core_pattern)",
    "there is no network, and no socket with a path": "{python} -I -S -c {sockets}",
    "it cannot make namespaces": "! unshare -Ur true",
}


@cache
def look_behind_fence(path: str) -> tuple[str, float]:
    """What is missing here, empty if fences hold; and how many milliseconds a program takes that does nothing."""
    if sys.platform != "linux":
        return f"there is none for {sys.platform} yet", 0.0
    if not fence_filter(all_sockets=False, nested=False):
        return "the calls of this kind of processor are not known", 0.0
    if why := lack_of(landlock_abi()):
        return why, 0.0
    with TemporaryDirectory(prefix="interlock-probe-") as folder:
        try:
            return _look(Path(folder), path)
        except InfrastructureError as error:
            return str(error), 0.0


def lack_of(abi: int) -> str:
    """What a version of Landlock lacks; empty if it is new enough."""
    if abi == 0:
        return (
            "Landlock is not in force: it needs Linux 6.12 with `landlock` in /sys/kernel/security/lsm, and in a"
            " container a seccomp filter that allows its calls, as docker's own does"
        )
    lacks = [what for needed, what in _LACKS.items() if abi < needed <= ABI_NEEDED]
    return f"Landlock has version {abi}, and {ABI_NEEDED} is needed (Linux 6.12): {'; '.join(lacks)}" if lacks else ""


def _look(folder: Path, path: str) -> tuple[str, float]:
    root = folder / "place"
    checkout = Checkout(root, root / "tree", root / "home", root / "tmp", sandbox=Sandbox("fs"))
    for one in (checkout.tree, checkout.home, checkout.tmp, folder / "outside"):
        one.mkdir(parents=True)
    (folder / "outside/key").write_text("key")
    env = {**scrubbed({"PATH": path}), "HOME": str(checkout.home), "TMPDIR": str(checkout.tmp)}
    words = {
        "pid": os.getpid(),
        "outside": shlex.quote(str(folder / "outside")),
        "home": shlex.quote(os.path.expanduser("~")),  # noqa: PTH111 - does not raise without a home
        "python": shlex.quote(sys.executable),
        "sockets": shlex.quote(_SOCKETS),
    }
    tests = [f"if {test.format(**words)}; then echo yes >&9; else echo no >&9; fi" for test in _HOLDS.values()]
    script = "\n".join(["exec 9>&1 >/dev/null 2>&1", *tests])
    done = supervise(confine(Supervised(("/bin/sh", "-c", script), *_how(checkout, env)), Room(checkout)), _NEVER)
    said = done.tail.decode("utf-8", "replace").split()
    if done.how is not How.EXITED or done.code != 0 or len(said) != len(_HOLDS):
        raise InfrastructureError(f"a program behind a fence ended with {done.how} {done.code}: {' '.join(said)[:300]}")
    failed = [name for name, answer in zip(_HOLDS, said, strict=True) if answer != "yes"]
    if failed:
        return f"a fence was made, but behind it this does not hold: {'; '.join(failed)}", 0.0
    began = time.perf_counter()
    supervise(confine(Supervised(("/bin/true",), *_how(checkout, env)), Room(checkout)), _NEVER)
    return "", 1000 * (time.perf_counter() - began)


_NEVER = threading.Event()


def _how(checkout: Checkout, env: dict[str, str]) -> tuple[Path, dict[str, str], Path, float]:
    return checkout.tree, env, checkout.root / "log", _TIMEOUT_S
