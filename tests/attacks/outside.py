"""What lies outside of a room or a fence, for the attacks on it: files, processes and sockets that nothing in it may reach;
the attacks' programs, with and without it; and holes, each of which takes one defence of a room away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from interlock.ports import Checkout, Sandbox
from interlock.process import Supervised, checkout_environment, supervise
from interlock.sandbox import Network, Room, confine

ROOT = os.geteuid() == 0
SECRET = "TOPSECRET"


@dataclass(frozen=True, slots=True)
class Outside:
    """`victim` is the pid of a process whose environment has the secret. Words of scripts in @ stand for the fields."""

    folder: Path
    key: Path
    store: Path
    journal: Path
    cache: Path
    other: Path
    socket: Path
    victim: int
    tcp: socket.socket
    udp: socket.socket
    abstract: str

    def fill(self, script: str) -> str:
        words = {
            "key": self.key, "store": self.store, "journal": self.journal, "cache": self.cache, "other": self.other,
            "socket": self.socket, "victim": self.victim, "tcp": self.tcp.getsockname()[1],
            "folder": self.folder, "udp": self.udp.getsockname()[1], "abstract": self.abstract,
        }  # fmt: skip
        for name, value in words.items():
            script = script.replace(f"@{name}@", str(value))
        return script


@contextmanager
def outside(folder: Path) -> Iterator[Outside]:
    (folder / "ann").mkdir(parents=True)
    for name in ("store.git/refs/heads", "setup/made", "places/other/tree", "dev"):
        (folder / name).mkdir(parents=True)
    for name in ("ann/key", "journal.db", "setup/made/x", "places/other/tree/x", "dev/payloads.key"):
        (folder / name).write_text(SECRET)
    with ExitStack() as stack:
        victim = subprocess.Popen(["sleep", "600"], env={"KEY": SECRET})
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        tcp, udp, abstract, named = (
            stack.enter_context(socket.socket(*kind))
            for kind in (
                (socket.AF_INET, socket.SOCK_STREAM),
                (socket.AF_INET, socket.SOCK_DGRAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
            )
        )
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        name = f"interlock-{os.getpid()}-{victim.pid}"
        abstract.bind(f"\0{name}")
        os.chdir(folder)  # a path of a socket must be short
        named.bind("docker.sock")
        for one in (tcp, abstract, named):
            one.listen(8)
        log = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        log.bind("log")  # as that of a daemon
        yield Outside(
            folder, folder / "ann/key", folder / "store.git", folder / "journal.db", folder / "setup/made",
            folder / "places/other/tree", folder / "docker.sock", victim.pid, tcp, udp, name,
        )  # fmt: skip


Hole = Callable[[Supervised, Outside], Supervised]


@dataclass(frozen=True, slots=True)
class Attack:
    """A script for the shell, or for Python if it has `import` in it: it prints GOT if it got something. `root`: without
    the hole's defence only root would get it. `needs`: a path without which there is nothing to get. `bare`: what comes
    of it at the level `none`: it works, it is held all the same, or it would do harm and is not tried."""

    id: str
    script: str
    hole: Hole
    root: bool = False
    needs: str = "/"
    bare: str = "works"


def skip_where_nothing_is_got(row: Attack) -> None:
    """Skips the test where the attack would get nothing though nothing held it."""
    if row.root and not ROOT:
        pytest.skip("without its defence only root would get it")
    if not Path(row.needs).exists():
        pytest.skip(f"there is no {row.needs}: nothing to get")


def checkout(folder: Path, level: str) -> Checkout:
    made = Checkout(folder, folder / "tree", folder / "home", folder / "tmp", sandbox=Sandbox(level))
    for one in (made.tree, made.home, made.tmp, folder / "output"):
        one.mkdir(parents=True, exist_ok=True)
    return made


def in_shell(script: str, made: Checkout, limit_s: float = 20) -> Supervised:
    return _work(("/bin/sh", "-c", script), made, limit_s)


def bare(script: str, there: Outside, level: str) -> Supervised:
    """The attack in a checkout of `level`, confined by nothing."""
    made = checkout(there.folder / "one", level)
    (made.root / "output/notes").write_text("about the supervisor")
    script = there.fill(script)
    return _work((sys.executable, "-c", script), made) if script.startswith("import ") else in_shell(script, made)


def confined(script: str, there: Outside, level: str, network: Network = Network.NONE) -> Supervised:
    return confine(bare(script, there, level), Room(checkout(there.folder / "one", level), network))


def said(work: Supervised) -> str:
    return supervise(work, threading.Event()).tail.decode("utf-8", "replace")


def got(there: Outside, work: Supervised) -> bool:
    """Whether the attack got something."""
    told = said(work)
    assert "bwrap:" not in told, told
    if "sent" in told:
        try:
            return there.udp.recv(10) == b"x"
        except BlockingIOError:
            return False
    return "GOT" in told


def writes_after_its_end(script: str, made: Checkout) -> bool:
    """Whether the file `late` still grows when the program of `script` has ended."""
    assert supervise(confine(in_shell(script, made), Room(made)), threading.Event()).code == 0
    late, sizes = made.tree / "late", []
    for _ in range(2):
        sizes.append(late.stat().st_size if late.exists() else 0)
        time.sleep(0.003)
    late.unlink(missing_ok=True)
    return sizes[0] != sizes[1]


def _work(words: tuple[str, ...], made: Checkout, limit_s: float = 20) -> Supervised:
    return Supervised(words, made.tree, checkout_environment(os.environ, made), made.root / "output/log", limit_s)


# --- holes --------------------------------------------------------------------------------------


def without(*flags: str) -> Hole:
    """Leave out these words of bubblewrap; a flag with a value is written `--flag VALUE`."""

    def cut(work: Supervised, there: Outside) -> Supervised:
        argv = list(work.argv)
        for flag in flags:
            words = flag.split()
            at = _place(argv, words)
            del argv[at : at + len(words)]
        return replace(work, argv=tuple(argv))

    return cut


def without_files(work: Supervised, there: Outside) -> Supervised:
    """Nothing is copied into the room: without a supervisor, nobody opens it."""
    while "--file" in work.argv:
        work = without(" ".join(work.argv[(at := work.argv.index("--file")) - 2 : at + 3]))(work, there)
    return work


def also(*words: str) -> Hole:
    """Add words of bubblewrap, behind all others; @NAME@ stands for what is outside."""

    def add(work: Supervised, there: Outside) -> Supervised:
        at = work.argv.index("--chdir")
        return replace(work, argv=(*work.argv[:at], *map(there.fill, words), *work.argv[at:]))

    return add


def early(*words: str) -> Hole:
    """Add words before the root is made read-only."""

    def add(work: Supervised, there: Outside) -> Supervised:
        at = work.argv.index("--remount-ro")
        return replace(work, argv=(*work.argv[:at], *map(there.fill, words), *work.argv[at:]))

    return add


def several(*holes: Hole) -> Hole:
    def every(work: Supervised, there: Outside) -> Supervised:
        for hole in holes:
            work = hole(work, there)
        return work

    return every


def with_environment(work: Supervised, there: Outside) -> Supervised:
    """bubblewrap gets the environment of the controller."""
    return replace(work, env={**work.env, "KEY": SECRET})


def unscoped(work: Supervised, there: Outside) -> Supervised:
    """Landlock's scopes are not set."""
    assert work.confined is not None
    return replace(work, confined=replace(work.confined, scoped=False))


def owned(work: Supervised, there: Outside) -> Supervised:
    """The room is that of our own id: root's, if we are root."""
    assert work.confined is not None
    return replace(work, confined=replace(work.confined, owner=0))


def with_options_shown(work: Supervised, there: Outside) -> Supervised:
    """The options of bubblewrap are on its command line."""
    assert work.confined is not None
    return replace(work, confined=replace(work.confined, maker=""))


def with_descriptor(work: Supervised, there: Outside) -> Supervised:
    """bubblewrap inherits an open file."""
    return replace(work, argv=("/bin/sh", "-c", f'exec 9< {there.key}; exec "$@"', "sh", *work.argv))


def _place(argv: Sequence[str], words: Sequence[str]) -> int:
    """Raises ValueError if the words are not there: a hole must take something away."""
    for at in range(len(argv)):
        if list(argv[at : at + len(words)]) == list(words):
            return at
    raise ValueError(f"{' '.join(words)} is not in {' '.join(argv)}")
