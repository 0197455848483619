"""A supervised program (what to start, its limits, how it ended), and the controller's side of the fork server that
starts it: one per controlling process, started at first use.

Rule: one lock guards the socket, and this module never waits for a program. The fork server is the only resource of
this package that lives as long as the process, because starting it costs 25 ms and a fork of it 2 ms.
"""

from __future__ import annotations

import atexit
import marshal
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from functools import cache
from pathlib import Path

from interlock.core.values import dataclass
from interlock.ports import InfrastructureError
from interlock.process import fence, ids
from interlock.process.listening import Gateway, Serve
from interlock.process.room import ARGUMENTS_FD, Wanted
from interlock.process.usage import Limits


class How(StrEnum):
    """How a supervised program ended."""

    EXITED = "exited"  # by itself, or by a signal that we did not send
    TIMED_OUT = "timed_out"
    IDLE = "idle"
    CANCELLED = "cancelled"
    OVER_LIMIT = "over_limit"  # it used more than one of its limits
    NOT_FOUND = "not_found"  # it did not start: no such program, or it is not executable


@dataclass(frozen=True, slots=True)
class Confined:
    """The program that is started in a room. What makes the room (bubblewrap) reads a filter of system calls (BPF) from
    the descriptor FILTER_FD, says on STATUS_FD how the program ended, and with `listeners` waits at BLOCK_FD. Each is a
    port on loopback in the room, and what serves a connection to it, from outside. `scoped`: it reaches no abstract
    socket and signals no process outside, if the kernel can hold that (`holds_scopes`). `maker` is what makes the room:
    its options, up to `--`, come from ARGUMENTS_FD, since all in the room can read its command line, and it can read
    the `files` of the machine from the descriptors from FIRST_FILE_FD on. `owner` is the id that it has on this
    machine, 0 for our own: what is `own` is seen as its, and it also needs to reach `needs`."""

    program: str
    filter: bytes = b""
    listeners: tuple[tuple[int, Serve], ...] = ()
    scoped: bool = True
    maker: str = ""
    files: tuple[Path, ...] = ()
    owner: int = 0
    own: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def wanted(self, options: bytes) -> Wanted:
        own, needs = (tuple(map(os.fsencode, paths)) for paths in (self.own, self.needs))
        ports = tuple(port for port, _ in self.listeners)
        files = tuple(map(os.fsencode, self.files))
        return self.filter, ports, self.scoped, options, files, (self.owner, own, needs) if self.owner else None

    def map_of_ids(self) -> int:
        """A descriptor, -1 if none is needed. Raises InfrastructureError."""
        try:
            return ids.map_to(self.owner) if self.owner else -1
        except OSError as error:
            raise InfrastructureError(f"sandbox: no map for its ids can be made: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Fence:
    """What a program may do without a room: list names, read, and write below these paths, use these devices, connect
    to these ports by TCP (None: to any). `filter` refuses system calls (BPF)."""

    lists: tuple[Path, ...]
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    devices: tuple[Path, ...]
    ports: tuple[int, ...] | None
    filter: bytes

    @property
    def wire(self) -> fence.Wire:
        kinds = (
            (self.lists, fence.MAY_LIST), (self.reads, fence.MAY_READ), (self.writes, fence.MAY_WRITE),
            (self.devices, fence.MAY_USE),
        )  # fmt: skip
        return tuple((os.fsencode(path), access) for paths, access in kinds for path in paths), self.ports, self.filter


@dataclass(frozen=True, slots=True)
class Supervised:
    """An untrusted program and its limits.

    `env` is complete: only PWD is added. `log` receives stdout and stderr merged, at most about `log_bytes_max` bytes
    (the first and the last part). File changes below `watch` count as activity; an `idle_timeout_s` of 0 means no
    timeout. `secrets` are masked in the log and everywhere else. `confined`: `argv` makes a room and starts a
    program in it. `fence`: what is put around the program before it starts; `gateway`: its way out. `limits` are those
    of the room or the fence.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    log: Path
    timeout_s: float
    stdin: bytes = b""
    idle_timeout_s: float = 0
    log_bytes_max: int = 10_000_000
    watch: tuple[Path, ...] = ()
    secrets: tuple[str, ...] = ()
    confined: Confined | None = None
    limits: Limits | None = None
    fence: Fence | None = None
    gateway: Gateway | None = None

    @property
    def name(self) -> str:
        return self.confined.program if self.confined else self.argv[0]


@dataclass(frozen=True, slots=True)
class Finished:
    """How the program ended. `code` is the exit code, -N for signal N, None if we ended it or it did not start.

    `took_s` is the time of the program itself, without the cleanup. `tail` is the end of the output (at most 64 KiB);
    for NOT_FOUND it names the program. `over` says which limit it passed, `bounded` by
    which means its limits were held.
    """

    how: How
    code: int | None
    took_s: float
    truncated: bool
    tail: bytes
    over: str = ""
    bounded: tuple[tuple[str, str], ...] = ()


# --- the fork server ----------------------------------------------------------------------------


# Import the packages without their __init__, which import much more than a supervisor needs.
_LAUNCH = """
import sys, types
for name, folder in (("interlock", sys.argv[2]), ("interlock.process", sys.argv[3])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from interlock.process.forkserver import main
main()
"""
_LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # what some Pythons need to start


class Spawner:
    """Holds the fork server. Threads may share it."""

    def __init__(self, environ: Mapping[str, str], *, portable: bool = False, groups: bool = True) -> None:
        """`portable` does not use features of Linux, so that the behaviour of other systems can be tested on Linux.
        Without `groups`, no control groups are used, as where they cannot be had."""
        self._env = {name: environ[name] for name in _LOADER if name in environ}
        self._options = (*(("portable",) if portable else ()), *(() if groups else ("polling",)))
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def prepare(self) -> None:
        """Start the fork server unless it runs. Returns before it is ready; requests are queued."""
        with self._lock:
            self._connected()

    def spawn(self, work: Supervised, stdin: int, output: int) -> socket.socket:
        """Start `work` under a supervisor, with these two descriptors. Returns the supervisor's control socket."""
        mapped = work.confined.map_of_ids() if work.confined else -1
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            self._send(b"l" if work.limits else b"s", [theirs.fileno(), stdin, output])
        request = _request(work)
        with suppress(OSError):  # if the supervisor has ended, reading from its socket shows it
            socket.send_fds(ours, [len(request).to_bytes(8, "big")], [mapped] if mapped >= 0 else [])
            ours.sendall(request)
        return ours

    def close(self) -> None:
        """Close the connection to the fork server. Running supervisors continue."""
        with self._lock:
            self._drop()

    def _send(self, message: bytes, files: list[int]) -> None:
        try:
            socket.send_fds(self._connected(), [message], files)
        except OSError:  # somebody killed the server: retry with a new one
            self._drop()
            socket.send_fds(self._connected(), [message], files)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._server = self._start(theirs.fileno())
            self._socket = ours
        return self._socket

    def _start(self, file: int) -> subprocess.Popen[bytes]:
        folder = Path(__file__).parent
        argv = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(file), str(folder.parent), str(folder), *self._options]
        quiet = subprocess.DEVNULL
        try:
            return subprocess.Popen(
                argv,
                env=self._env,
                cwd="/",
                pass_fds=[file],
                start_new_session=True,
                stdin=quiet,
                stdout=quiet,
                stderr=quiet,
            )
        except OSError as error:
            raise InfrastructureError(f"cannot start a supervisor with {sys.executable}: {error.strerror}") from error

    def _drop(self) -> None:
        if self._socket is not None and self._server is not None:
            self._socket.close()
            with suppress(subprocess.TimeoutExpired):
                self._server.wait(1)
        self._socket = self._server = None


def spawner() -> Spawner:
    """The spawner of this process."""
    return _spawner_of(os.getpid())


@cache
def _spawner_of(_pid: int) -> Spawner:
    """One per pid: a forked child must not share its parent's socket."""
    made = Spawner(os.environ)
    atexit.register(made.close)
    return made


def _request(work: Supervised) -> bytes:
    argv = [os.fsencode(word) for word in work.argv]
    env = {os.fsencode(name): os.fsencode(value) for name, value in work.env.items()}
    cwd: str | Path = work.cwd
    room: Wanted | None = None
    if work.confined:
        argv, options = split_options(argv, os.fsencode(work.confined.maker))
        cwd, room = "/", work.confined.wanted(options)
    bounds = work.limits
    limits = tuple[int | tuple[str, ...], ...](bounds) if bounds else None  # marshal knows no named tuples
    around = work.fence.wire if work.fence else None
    return marshal.dumps((argv, os.fsencode(cwd), env, float(work.timeout_s), room, limits, around))


def split_options(argv: list[bytes], maker: bytes) -> tuple[list[bytes], bytes]:
    """The command line of a program that makes a room, and the options that it reads from a descriptor."""
    if argv[0] != maker or b"--" not in argv:
        return argv, b""
    end = argv.index(b"--")
    options = b"".join(word + b"\0" for word in argv[1:end])
    return [maker, b"--args", b"%d" % ARGUMENTS_FD, *argv[end:]], options
