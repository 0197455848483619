"""The supervisor: a separate small program that starts untrusted programs and ends them with all their children.

Rule: only the standard library and the process table, because it must start fast.

A controller has one *fork server*, this module. Each byte on its socket comes with three descriptors (control, stdin,
output), and the fork server forks a *supervisor* for them. The supervisor makes itself the reaper of all orphans below
it, so a program cannot escape with `setsid` or a double fork. It starts the program, and ends the whole tree when the
program exits, its deadline passes, the controller asks for it, or the controller's end of the control socket closes.
The fork server adopts and ends the processes that a killed supervisor leaves. A system without such a reaper (macOS)
gets best effort: the process group, and every descendant that was seen while its parents lived.

Control socket, to the supervisor: 8 bytes of length, the marshalled request, then `e` to end the program.
From the supervisor: lines, `at PID`, then `failed WHAT ERRNO`, or `started` and then `ended HOW CODE TOOK_S LEFT`.
HOW is `unroomed` if a program that makes a room (bubblewrap) ended before the program in it began.
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

from interlock.process import room
from interlock.process.table import Process, descendants, processes, send_signal

GRACE_S = 0.5  # between SIGTERM and SIGKILL
END_MAX_S = 20.0  # for SIGKILL to work; longer only where the kernel itself hangs
_LOOK_S = 1.0  # how often descendants are noted if there is no reaper
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_EXEC_FAILED = 127

# argv, cwd, env, timeout_s, and if it makes a room: the filter, and the ports to listen at
Request = tuple[list[bytes], bytes, dict[bytes, bytes], float, tuple[bytes, tuple[int, ...]] | None]


def main() -> None:
    """Fork a supervisor for each message on the socket with descriptor argv[1], until the controller closes it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    reaper = "portable" not in sys.argv and _become_reaper()
    _serve(socket.socket(fileno=int(sys.argv[1])), reaper=reaper)


# --- the fork server ---------------------------------------------------------------------------


def _become_reaper() -> bool:
    """Become the parent of all orphans below us (PR_SET_CHILD_SUBREAPER, Linux). Whether it worked."""
    return sys.platform == "linux" and bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def _serve(requests: socket.socket, *, reaper: bool) -> None:
    bell = _bell()
    live: dict[int, int] = {}  # supervisor's pid: a copy of its control socket
    poll = select.poll()
    poll.register(bell, select.POLLIN)
    poll.register(requests, select.POLLIN)
    is_open = True
    while is_open or live:
        ready = {file for file, _ in poll.poll()}
        if bell in ready:
            _drain(bell)
            _reap_supervisors(live)
        if requests.fileno() in ready and not _fork_supervisor(requests, live, bell, reaper=reaper):
            poll.unregister(requests)
            is_open = False


def _bell() -> int:
    """A descriptor that is readable after a child has ended."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    os.set_blocking(writes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    return reads


def _drain(bell: int) -> None:
    with suppress(BlockingIOError):
        os.read(bell, 65536)


def _reap_supervisors(live: dict[int, int]) -> None:
    """Close the copy of the control socket last: end of file tells the controller that no process is left."""
    while (ended := _reap()) is not None:
        pid, code = ended
        control = live.pop(pid, None)
        if control is None:
            continue
        if code != 0:
            _sweep(frozenset(live))
        os.close(control)


def _sweep(supervisors: frozenset[int]) -> None:
    """End the processes that a killed supervisor left to us."""
    until = time.monotonic() + END_MAX_S
    while (orphans := descendants({os.getpid()}, supervisors)) and time.monotonic() < until:
        send_signal(orphans, signal.SIGKILL)
        time.sleep(0.002)
        for each in orphans:
            with suppress(ChildProcessError):
                os.waitpid(each.pid, os.WNOHANG)


def _fork_supervisor(requests: socket.socket, live: dict[int, int], bell: int, *, reaper: bool) -> bool:
    """Read a message and fork a supervisor for it. Whether the controller still runs."""
    message, files, _, _ = socket.recv_fds(requests, 1, 3)
    if not message:
        return False
    if len(files) != 3:  # too many open files: the controller reads the end of its socket
        for file in files:
            os.close(file)
        return True
    for file in files:
        os.set_inheritable(file, False)
    control, stdin, output = files
    pid = _fork(control)
    if pid == 0:
        code = 1
        try:
            for file in (requests.fileno(), bell, *live.values()):
                os.close(file)
            _supervise(socket.socket(fileno=control), stdin, output, reaper=reaper)
            code = 0
        finally:
            os._exit(code)
    if pid > 0:
        live[pid] = control
    os.close(stdin)
    os.close(output)
    return True


def _fork(control: int) -> int:
    """As os.fork; if the machine cannot fork, report it and return -1."""
    try:
        return os.fork()
    except OSError as error:
        os.write(control, b"failed fork %d\n" % (error.errno or 0))
        os.close(control)
        return -1


# --- a supervisor ------------------------------------------------------------------------------


def _supervise(control: socket.socket, stdin: int, output: int, *, reaper: bool) -> None:
    request = _receive(control)
    if request is None:
        return
    _send(control, f"at {os.getpid()}")  # before the program can stop us
    bell = _bell()
    began = time.monotonic()
    tree = _Tree(reaper=reaper and _become_reaper())
    failed = tree.start(request, stdin, output)
    os.close(stdin)
    os.close(output)
    if not failed and request[4] and request[4][1]:
        failed = _listen(tree, control, request[4][1])
    if failed:
        _send(control, failed)
        tree.end(bell, 0.0)
        return
    _send(control, "started")
    how, code = _watch(tree, control, bell, began + request[3])
    took_s = time.monotonic() - began
    left = tree.end(bell, 0.0 if how == "gone" else GRACE_S)
    if how == "exited" and request[4] is not None:
        how, code = tree.ended_in_room(code)
    _send(control, f"ended {how} {code} {took_s:.6f} {left}")


def _receive(control: socket.socket) -> Request | None:
    """The request; None if the controller ended while it was sending."""
    size = _receive_exactly(control, 8)
    body = _receive_exactly(control, int.from_bytes(size, "big")) if size else b""
    return marshal.loads(body) if body else None  # our own controller wrote it, with the same Python


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
    """Wait for the first reason to end: exited (with the code) | deadline | asked | gone."""
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
        ready = {file for file, _ in poll.poll(int(tree.note(left_s) * 1000) + 1)}
        if bell in ready:
            _drain(bell)
        if control.fileno() in ready:
            return ("asked" if _receive_exactly(control, 1) else "gone"), 0


def _listen(tree: _Tree, control: socket.socket, ports: tuple[int, ...]) -> str:
    """Hand sockets that listen in the room to the controller, and let the program begin. Returns a line that says why
    it failed, or nothing."""
    pid = tree.first_in_room()
    if pid:
        files, number = room.listeners(pid, ports)
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

    def start(self, request: Request, stdin: int, output: int) -> str:
        """Start the program. Returns a line that says why it failed, or nothing."""
        reads, writes = os.pipe()
        status = block = -1
        if request[4] is not None:
            self._status, status = os.pipe()
            block, self.block = os.pipe()
        try:
            self.program = os.fork()
        except OSError as error:
            return f"failed fork {error.errno}"
        if self.program == 0:
            _become(request, (stdin, output, status, block), writes)
        os.close(writes)
        if request[4] is not None:
            os.close(status)
            os.close(block)
        line = os.read(reads, 100).decode()
        os.close(reads)
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

    def reap(self) -> bool:
        """Wait for all ended children. Whether other children are left."""
        while (ended := _reap()) is not None:
            if ended[0] == self.program:
                self.code = ended[1]
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def note(self, left_s: float) -> float:
        """Note the living processes, if there is no reaper. Returns how long the caller may sleep, in seconds."""
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
            _drain(bell)

    def _kill(self) -> None:
        """Kill all. Without a reaper, a dead parent hides its children, so all are stopped before any is killed."""
        if not self._reaper:
            send_signal(self.members(), signal.SIGSTOP)
            self.note(0)
        send_signal(self.members(), signal.SIGKILL)


def _reap() -> tuple[int, int] | None:
    """A child that has ended, and its code (-N for signal N). None if there is none."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, os.waitstatus_to_exitcode(status)) if pid else None


def _become(request: Request, files: tuple[int, int, int, int], writes: int) -> None:
    """Turn this process, a new fork, into the program. Does not return."""
    what = "start"
    try:
        argv, cwd, env, _, wanted = request
        os.setsid()
        _die_with_parent()
        stdin, output, status, block = files
        if wanted is not None:
            stdin, output, status, block, writes = map(room.above, (stdin, output, status, block, writes))
            room.pass_on(wanted, status, block)
        for target, file in enumerate((stdin, output, output)):
            os.dup2(file, target)
        what = "folder"
        os.chdir(cwd)
        what = "program"
        _reset_signals()
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        os.write(writes, b"failed %s %d" % (what.encode(), error.errno or 0))
    finally:
        os._exit(_EXEC_FAILED)


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


if __name__ == "__main__":
    main()
