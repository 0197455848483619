"""The fork server of a controller: a separate small program that forks a supervisor for each program.

Rule: only the standard library and what the supervisor needs, because it must start fast.

Each byte on its socket comes with three descriptors (control, stdin, output), and the fork server forks a *supervisor*
for them; `l` asks for one that can limit what its program uses. Of these, one is there before it is asked for, with a
child that waits in a control group. The fork server adopts and ends the processes that a killed supervisor leaves.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from interlock.process.cgroups import Group, Parent, find_parents
from interlock.process.reaping import become_reaper, drain, make_bell, reap
from interlock.process.supervisor import END_MAX_S, Child, supervise
from interlock.process.table import descendants, send_signal


def main() -> None:
    """Fork a supervisor for each message on the socket with descriptor argv[1], until the controller closes it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    reaper = "portable" not in sys.argv and become_reaper()
    groups = _Groups()
    try:
        _Server(socket.socket(fileno=int(sys.argv[1])), groups, reaper=reaper).serve()
    finally:
        groups.remove()


class _Groups:
    """Control groups for programs; each is for one at a time, and for the supervisor of it that it is lent to."""

    def __init__(self) -> None:
        self._parents: tuple[Parent, ...] | None = None  # until the first is wanted
        self._free: list[Group] = []
        self._used: dict[int, Group] = {}  # by supervisor
        self._made = 0

    def unused(self) -> Group | None:
        """None where no group can be had."""
        if self._parents is None:
            self._parents = find_parents() if sys.platform == "linux" and "polling" not in sys.argv else ()
        if not self._parents:
            return None
        for group in self._free:
            if group.is_empty():
                return group
        self._made += 1
        self._free.append(Group(self._parents, f"{os.getpid()}-{self._made}"))
        return self._free[-1]

    def lend(self, group: Group | None, supervisor: int) -> None:
        if group is not None:
            self._free.remove(group)
            self._used[supervisor] = group

    def give_back(self, supervisor: int) -> None:
        if supervisor in self._used:
            self._free.append(self._used.pop(supervisor))

    def remove(self) -> None:
        for group in (*self._free, *self._used.values()):
            group.remove()


class _Server:
    def __init__(self, requests: socket.socket, groups: _Groups, *, reaper: bool) -> None:
        self._requests = requests
        self._groups = groups
        self._reaper = reaper
        self._bell = make_bell()
        self._live: dict[int, int] = {}  # supervisor's pid: a copy of its control socket
        self._waiting: tuple[int, socket.socket] | None = None  # a supervisor whose child waits in a group

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        poll.register(self._requests, select.POLLIN)
        is_open = True
        while is_open or self._live:
            ready = {file for file, _ in poll.poll()}
            if self._bell in ready:
                drain(self._bell)
                self._reap_supervisors()
            if self._requests.fileno() in ready and not self._answer():
                poll.unregister(self._requests)
                is_open = False
        if self._waiting is not None:
            self._waiting[1].close()
            with suppress(ChildProcessError):
                os.waitpid(self._waiting[0], 0)

    def _reap_supervisors(self) -> None:
        """Close the copy of the control socket last: end of file tells the controller that no process is left."""
        while (ended := reap()) is not None:
            pid, code = ended
            if self._waiting is not None and self._waiting[0] == pid:
                self._waiting[1].close()
                self._waiting = None
            control = self._live.pop(pid, None)
            if control is not None and code != 0:
                waiting = {self._waiting[0]} if self._waiting is not None else set[int]()
                _sweep(frozenset(self._live) | waiting)
            self._groups.give_back(pid)
            if control is not None:
                os.close(control)

    def _answer(self) -> bool:
        """Read a message and have a supervisor do it. Whether the controller still runs."""
        message, files, _, _ = socket.recv_fds(self._requests, 1, 3)
        if not message:
            return False
        limited = message == b"l"
        for file in files:
            os.set_inheritable(file, False)
        if len(files) == 3:  # else too many open files: the controller reads the end of its socket
            pid = self._hand_over(files) if limited else 0
            pid = pid or self._start(files, self._groups.unused() if limited else None)
            if pid:
                self._live[pid] = os.dup(files[0])
        for file in files:
            os.close(file)
        if limited:
            self._prepare()  # last: it must hold nothing that is another's
        return True

    def _hand_over(self, files: list[int]) -> int:
        """To the supervisor that waits; 0 if none does."""
        if self._waiting is None:
            return 0
        pid, its = self._waiting
        self._waiting = None
        with its, suppress(OSError):
            socket.send_fds(its, [b"l"], files)
            return pid
        return 0

    def _prepare(self) -> None:
        """Have a supervisor whose child waits in a group: to enter one takes longer than all else of a start."""
        group = self._groups.unused()
        if group is None:
            return
        ours, theirs = socket.socketpair()
        with theirs, suppress(OSError):  # then none waits
            self._waiting = (self._fork(group, lambda: self._wait(group, ours, theirs)), ours)
            return
        ours.close()

    def _wait(self, group: Group, unused: socket.socket, requests: socket.socket) -> None:
        unused.close()
        child = None
        with suppress(OSError):  # perhaps it can be forked later
            group.set({})  # without the limits of a former program
            child = Child(group)
        _, files, _, _ = socket.recv_fds(requests, 1, 3)
        requests.close()
        if len(files) == 3:
            self._supervise(files, group, child)
        elif child is not None:
            child.end()

    def _start(self, files: list[int], group: Group | None) -> int:
        """A supervisor for these descriptors. 0 if the machine cannot fork, which is reported."""
        try:
            return self._fork(group, lambda: self._supervise(files, group, None))
        except OSError as error:
            os.write(files[0], b"failed fork %d\n" % (error.errno or 0))
            return 0

    def _fork(self, group: Group | None, does: Callable[[], None]) -> int:
        """Fork a supervisor that does this. Raises OSError."""
        pid = os.fork()
        if pid:
            self._groups.lend(group, pid)
            return pid
        code = 1
        try:
            for file in (self._requests.fileno(), self._bell, *self._live.values()):
                os.close(file)
            if self._waiting is not None:
                self._waiting[1].close()
            does()
            code = 0
        finally:
            os._exit(code)

    def _supervise(self, files: list[int], group: Group | None, child: Child | None) -> None:
        for file in files:
            os.set_inheritable(file, False)
        control, stdin, output = files
        supervise(socket.socket(fileno=control), (stdin, output), group, child, reaper=self._reaper)


def _sweep(supervisors: frozenset[int]) -> None:
    """End the processes that a killed supervisor left to us."""
    until = time.monotonic() + END_MAX_S
    while (orphans := descendants({os.getpid()}, supervisors)) and time.monotonic() < until:
        send_signal(orphans, signal.SIGKILL)
        time.sleep(0.002)
        for each in orphans:
            with suppress(ChildProcessError):
                os.waitpid(each.pid, os.WNOHANG)


if __name__ == "__main__":
    main()
