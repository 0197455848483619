"""Which limits of rooms hold on this machine, and by which means: for each a program is started that passes it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from interlock.core.rooms import RoomLimits
from interlock.ports import Checkout, Sandbox
from interlock.process import How, Supervised, scrubbed, supervise
from interlock.sandbox.room import Room, confine

_TIMEOUT_S = 20.0
POLLING = "polling"
# For each limit: what is set, and what passes it, in the words of a shell. Each takes little, and stays for a second:
# what is gone at once would be missed where nothing but looking helps.
_TRIES = {
    "memory": (RoomLimits(memory_bytes=64_000_000), "held=$(head -c 90000000 /dev/zero | tr '\\0' x)"),
    "processes": (RoomLimits(processes=20), "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i + 1)); done"),
    "file_size": (RoomLimits(file_bytes=5_000_000), "head -c 10000000 /dev/zero > big"),
    "disk": (
        RoomLimits(disk_bytes=20_000_000),
        "head -c 15000000 /dev/zero > one; head -c 15000000 /dev/zero > $TMPDIR/two",
    ),
}


@dataclass(frozen=True, slots=True)
class Held:
    """`means` is how the limit is held; empty if a program passed it and was not ended."""

    limit: str
    means: str


def limits_held(environ: Mapping[str, str], level: str = "full") -> tuple[Held, ...]:
    """Needs a machine on which the level holds. Raises InfrastructureError."""
    path = environ.get("PATH", os.defpath)
    with TemporaryDirectory(prefix="interlock-limits-") as folder, ThreadPoolExecutor(len(_TRIES)) as pool:
        return tuple(pool.map(lambda name: _tried(name, level, Path(folder) / name, path), _TRIES))


def _tried(name: str, level: str, folder: Path, path: str) -> Held:
    limits, script = _TRIES[name]
    sandbox = Sandbox(level, limits=limits)
    checkout = Checkout(folder, folder / "tree", folder / "home", folder / "tmp", sandbox=sandbox)
    for one in (checkout.tree, checkout.home, checkout.tmp):
        one.mkdir(parents=True)
    env = {**scrubbed({"PATH": path}), "HOME": checkout.seen(checkout.home), "TMPDIR": checkout.seen(checkout.tmp)}
    words = ("/bin/sh", "-c", f"{script}\ncode=$?; sleep 1; exit $code")
    work = Supervised(words, checkout.tree, env, folder / "log", _TIMEOUT_S)
    done = supervise(confine(work, Room(checkout)), threading.Event())
    if done.how is How.OVER_LIMIT and done.over.startswith(f"{name}:"):
        return Held(name, {"file_size": "the kernel", "disk": POLLING}.get(name) or dict(done.bounded)[name])
    return Held(name, "")
