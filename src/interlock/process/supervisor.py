"""The supervisor: it starts an untrusted program and ends it with all its children.

Rule: only the standard library and the process table, because it must start fast.

The supervisor, a fork of the fork server, makes itself the reaper of all orphans below it, so a program cannot escape
with `setsid` or a double fork. A child of it becomes the program: this child, never the supervisor, is in the control
group of the program. The supervisor ends the whole tree when the program exits, its deadline passes, it passes a limit,
the controller asks for it, or the controller's end of the control socket closes. A system without such a reaper (macOS)
gets best effort: the process group, and every descendant that was seen while its parents lived.

Control socket, to the supervisor: 8 bytes of length, the marshalled request, then `e` to end the program.
From the supervisor: lines, `at PID`, then `failed WHAT ERRNO`, or `started` and then `ended HOW CODE TOOK_S LEFT`.
HOW is `unroomed` if a program that makes a room (bubblewrap) ended before the program in it began, `over` if it passed
the limit that a line `over NAME` before says. A line `bounded NAME MEANS` says how a limit is held.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

from interlock.process import fence, room
from interlock.process.cgroups import Group
from interlock.process.limits import Bounds, bound_files, limits_in
from interlock.process.reaping import become_reaper, drain, make_bell, reap
from interlock.process.table import Process, descendants, processes, send_signal

GRACE_S = 0.5  # between SIGTERM and SIGKILL
END_MAX_S = 20.0  # for SIGKILL to work; longer only where the kernel itself hangs
_SLEEP_MAX_S = 86_400.0  # of one poll, whose milliseconds fit in 32 bits
_LOOK_S = 1.0  # how often descendants are noted if there is no reaper
_PR_SET_PDEATHSIG = 1
_EXEC_FAILED = 127

# argv, cwd, env, timeout_s; what is wanted if it makes a room; its limits; and the fence around it
Request = tuple[
    list[bytes], bytes, dict[bytes, bytes], float, room.Wanted | None, tuple[object, ...] | None, fence.Wire | None
]


def supervise(
    control: socket.socket, files: tuple[int, int], group: Group | None, child: Child | None, *, reaper: bool
) -> None:
    """Read a request from `control`, and do it. `files` are stdin and output; `group` is for a program with limits;
    `child` waits to become the program, else one is made."""
    request, mapped = _receive(control)
    if request is None:
        if child is not None:
            child.end()
        return
    _send(control, f"at {os.getpid()}")  # before the program can stop us
    bell = make_bell()
    began = time.monotonic()
    tree = _Tree(reaper=reaper and become_reaper())
    failed = tree.start(request, [*files, *mapped], group, child)
    for file in (*files, *mapped):
        os.close(file)
    if not failed and request[4] and request[4][1]:
        failed = _listen(tree, control, request[4][1])
    if failed:
        _send(control, failed)
        tree.end(bell, 0.0)
        return
    _send(control, "started")
    how, code = _watch(tree, control, bell, began + request[3])
    took_s = time.monotonic() - began
    left = tree.end(bell, 0.0 if how in ("gone", "over") else GRACE_S)
    if how == "exited" and request[4] is not None:
        how, code = tree.ended_in_room(code)
    if tree.bounds:
        for name, means in tree.bounds.means.items():
            _send(control, f"bounded {name} {means.replace(' ', '-')}")
        tree.over = tree.over or (tree.bounds.passed_at_end(code) if how in ("exited", "unroomed") else "")
        if tree.over:
            how = "over"
            _send(control, f"over {tree.over}")
    _send(control, f"ended {how} {code} {took_s:.6f} {left}")


def _receive(control: socket.socket) -> tuple[Request | None, list[int]]:
    """The request, None if the controller ended while it was sending; and a map of ids, if one is wanted."""
    size, files, _, _ = socket.recv_fds(control, 8, 1)
    for file in files:
        os.set_inheritable(file, False)
    body = _receive_exactly(control, int.from_bytes(size, "big")) if len(size) == 8 else b""
    # Our own controller wrote it, with the same Python.
    return (marshal.loads(body) if body else None), files


def _receive_exactly(control: socket.socket, count: int) -> bytes:
    parts = []
    while count and (part := control.recv(min(count, 1 << 20))):
        parts.append(part)
        count -= len(part)
    return b"" if count else b"".join(parts)


def _send(control: socket.socket, line: str) -> None:
    with suppress(OSError):  # the controller has ended
        control.sendall(line.encode() + b"\n")


def _watch(tree: _Tree, control: socket.socket, bell: int, until: float) -> tuple[str, int]:
    """Wait for the first reason to end: exited (with the code) | deadline | over | asked | gone."""
    poll = select.poll()
    poll.register(bell, select.POLLIN)
    poll.register(control, select.POLLIN)
    while True:
        tree.reap()
        if tree.code is not None:
            return "exited", tree.code
        left_s = until - time.monotonic()
        if left_s <= 0:
            return "deadline", 0
        if tree.passes_limit():
            return "over", 0
        ready = {file for file, _ in poll.poll(int(min(tree.note(left_s), _SLEEP_MAX_S) * 1000) + 1)}
        if bell in ready:
            drain(bell)
        if control.fileno() in ready:
            return ("asked" if _receive_exactly(control, 1) else "gone"), 0


def _listen(tree: _Tree, control: socket.socket, ports: tuple[int, ...]) -> str:
    """Hand sockets that listen in the room to the controller, and let the program begin. Returns a line that says why
    it failed, or nothing."""
    pid = tree.first_in_room()
    if pid:
        try:
            files, number = room.listeners(pid, ports)
        except OSError as error:
            return f"failed fork {error.errno}"
        if number:
            return f"failed network {number}"
        socket.send_fds(control, [b"listening\n"], files)
        for file in files:
            os.close(file)
    with suppress(OSError):  # without a room it ends by itself, and says why
        os.write(tree.block, b"x")
    return ""


class _Tree:
    """The program and all its descendants."""

    def __init__(self, *, reaper: bool) -> None:
        self.program = 0
        self.code: int | None = None  # of the program, when it ended
        self._reaper = reaper
        self._seen: dict[int, str] = {}  # pid: started
        self._status = -1  # what a program that makes a room says of it
        self.block = -1  # what it waits for
        self._said = b""
        self.bounds: Bounds | None = None
        self.over = ""  # the limit that was passed

    def start(self, request: Request, files: list[int], group: Group | None, child: Child | None) -> str:
        """Start the program, with its input, its output and, if it has one, a map of ids. Returns a line that says why
        it failed, or nothing."""
        of_room: tuple[int, ...] = ()
        try:
            if request[4] is not None:
                self._status, status = os.pipe()
                block, self.block = os.pipe()
                of_room = status, block
            limits = limits_in(request[5])
            self.bounds = Bounds(limits, group) if limits is not None else None
            child = child if child is not None and child.waits() else Child(group)
        except OSError as error:
            return f"failed fork {error.errno}"
        self.program = child.pid
        line = child.become(request, [*files[:2], *of_room, *files[2:]])
        for file in of_room:
            os.close(file)
        return line

    def ended_in_room(self, code: int) -> tuple[str, int]:
        """How the program in the room ended. A signal that ended it comes as a code."""
        os.set_blocking(self._status, False)
        with suppress(BlockingIOError):
            while part := os.read(self._status, 4096):
                self._said += part
        if b'"exit-code"' not in self._said:
            return ("unroomed" if code > 0 else "exited"), code
        return "exited", room.signal_or_code(code)

    def first_in_room(self) -> int:
        """The first process of the room; 0 if none was made."""
        while b"\n" not in self._said and select.select([self._status], [], [], END_MAX_S)[0]:
            part = os.read(self._status, 4096)
            if not part:
                break
            self._said += part
        return room.first_process(self._said)

    def passes_limit(self) -> bool:
        """Whether it has passed a limit by now."""
        if self.bounds is not None and self.bounds.wait_s() == 0:
            self.over = self.bounds.passed(self.first_in_room() if self._status >= 0 else 0)
        return bool(self.over)

    def reap(self) -> bool:
        """Wait for all ended children. Whether other children are left."""
        while (ended := reap()) is not None:
            if ended[0] == self.program:
                self.code = ended[1]
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def note(self, left_s: float) -> float:
        """Note the living processes, if there is no reaper. Returns how long the caller may sleep, in seconds."""
        if self.bounds is not None:
            left_s = min(left_s, self.bounds.wait_s())
        if self._reaper:
            return left_s
        self._seen.update({each.pid: each.started for each in self.members()})
        return min(left_s, _LOOK_S)

    def members(self) -> list[Process]:
        """All living processes of the tree, without us."""
        if self._reaper:
            return descendants({os.getpid()})
        table = processes()
        roots = {pid for pid, started in self._seen.items() if pid in table and table[pid].started == started}
        grouped = {each.pid for each in table.values() if each.group == self.program}
        below = {each.pid for each in descendants({os.getpid()} | roots | grouped)}
        return [table[pid] for pid in roots | grouped | below if pid in table and not table[pid].dead]

    def end(self, bell: int, grace_s: float) -> int:
        """Send SIGTERM, then SIGKILL, until none is left. Returns how many could not be ended."""
        if self._is_empty():
            return 0
        if grace_s:
            # What makes a room would end at once, and all that is in it.
            targets = [one for one in self.members() if self._status < 0 or one.pid != self.program]
            send_signal(targets, signal.SIGTERM)
            send_signal(targets, signal.SIGCONT)  # a stopped process would not receive it
            self._wait(bell, grace_s)
        until = time.monotonic() + END_MAX_S
        while not self._is_empty() and time.monotonic() < until:
            self._kill()
            self._wait(bell, 0.02)
        return 0 if self._is_empty() else len(self.members())

    def _is_empty(self) -> bool:
        return not self.reap() and (self._reaper or not self.members())

    def _wait(self, bell: int, limit_s: float) -> None:
        """Wait until all are dead, or for `limit_s` seconds."""
        until = time.monotonic() + limit_s
        while not self._is_empty() and (left_s := until - time.monotonic()) > 0:
            select.select([bell], [], [], left_s if self._reaper else min(left_s, 0.05))
            drain(bell)

    def _kill(self) -> None:
        """Kill all. Without a reaper, a dead parent hides its children, so all are stopped before any is killed."""
        if not self._reaper:
            send_signal(self.members(), signal.SIGSTOP)
            self.note(0)
        send_signal(self.members(), signal.SIGKILL)


class Child:
    """The process that becomes the program. It enters the group of the program, and waits there until it is asked:
    to enter takes longer than all else of a start."""

    def __init__(self, group: Group | None) -> None:
        """Raises OSError."""
        self._asks, asked = socket.socketpair()
        with asked:
            self.pid = os.fork()
            if self.pid == 0:
                self._asks.close()
                _become(asked, group)

    def waits(self) -> bool:
        """Whether nobody has killed it."""
        return os.waitpid(self.pid, os.WNOHANG) == (0, 0)

    def become(self, request: Request, files: list[int]) -> str:
        """Make it the program. Returns a line that says why it failed, or nothing, also if it was killed."""
        body = marshal.dumps(request)  # type: ignore[arg-type]
        with self._asks:
            with suppress(OSError):
                socket.send_fds(self._asks, [len(body).to_bytes(8, "big")], files)
                self._asks.sendall(body)
            with suppress(OSError):
                return self._asks.recv(100).decode()  # the end of the socket: it is the program
        return ""

    def end(self) -> None:
        """Let it go without having become anything."""
        self._asks.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _become(asked: socket.socket, group: Group | None) -> None:
    """Turn this process, a new fork, into the program that is asked for. Does not return."""
    says = asked.fileno()
    what = "start"
    try:
        says = room.above(says)
        os.setsid()
        _die_with_parent()
        try:
            if group is not None:
                group.enter()
        finally:  # if it cannot, it says so when it is asked
            (argv, cwd, env, _, wanted, bounds, around), files = _asked(asked)
        limits = limits_in(bounds)
        if limits is not None:
            bound_files(limits)
        if wanted is not None:
            files = [room.above(file) for file in files]
            room.pass_on(wanted, *files[2:4])
        for target, file in enumerate((files[0], files[1], files[1])):
            os.dup2(file, target)
        what = "folder"
        os.chdir(cwd)
        _reset_signals()
        if wanted is not None and wanted[5] is not None:
            what = "owner"
            room.change_owner(wanted, argv, files[4], streams=True)
            _die_with_parent()  # who changes its id is no more told of the end of its parent
        if wanted is not None and wanted[2]:
            room.scope(argv[0])
        if around is not None:
            what = "fence"
            fence.enforce(around)
        what = "program"
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        os.write(says, b"failed %s %d" % (what.encode(), error.errno or 0))
    finally:
        os._exit(_EXEC_FAILED)


def _asked(asked: socket.socket) -> tuple[Request, list[int]]:
    """What to become, and the descriptors for it. Raises EOFError if nobody asks any more."""
    size, files, _, _ = socket.recv_fds(asked, 8, 5)
    for file in files:
        os.set_inheritable(file, False)
    return marshal.loads(_receive_exactly(asked, int.from_bytes(size, "big"))), files


def _die_with_parent() -> None:
    """If somebody kills the supervisor, at least the program ends at once."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _reset_signals() -> None:
    """Restore default handlers: ignored signals stay ignored across exec, and Python and we ignore some."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
