"""The fork server of a controller: a separate small program that forks a supervisor for each program.

Rule: only the standard library and what the supervisor needs, because it must start fast.

Each byte on its socket comes with three descriptors (control, stdin, output), and the fork server forks a *supervisor*
for them; `l` asks for one that can limit what its program uses. It adopts and ends the processes that a killed
supervisor leaves.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

from interlock.process.cgroups import Group, Parent, find_parents
from interlock.process.reaping import become_reaper, drain, make_bell, reap
from interlock.process.supervisor import END_MAX_S, supervise
from interlock.process.table import descendants, send_signal


def main() -> None:
    """Fork a supervisor for each message on the socket with descriptor argv[1], until the controller closes it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    reaper = "portable" not in sys.argv and become_reaper()
    groups = _Groups()
    try:
        _serve(socket.socket(fileno=int(sys.argv[1])), groups, reaper=reaper)
    finally:
        groups.remove()


class _Groups:
    """Control groups for programs; each is for one at a time."""

    def __init__(self) -> None:
        self._parents: tuple[Parent, ...] | None = None  # until the first is wanted
        self._free: list[Group] = []
        self._used: dict[int, Group] = {}  # by supervisor
        self._made = 0

    def take(self) -> Group | None:
        if self._parents is None:
            self._parents = find_parents() if sys.platform == "linux" else ()
        if not self._parents:
            return None
        while self._free:
            group = self._free.pop()
            if group.is_empty():
                return group
        self._made += 1
        return Group(self._parents, f"{os.getpid()}-{self._made}")

    def lend(self, group: Group | None, supervisor: int) -> None:
        if group is not None:
            self._used[supervisor] = group

    def give_back(self, supervisor: int) -> None:
        if supervisor in self._used:
            self._free.append(self._used.pop(supervisor))

    def remove(self) -> None:
        for group in self._free:
            group.remove()


def _serve(requests: socket.socket, groups: _Groups, *, reaper: bool) -> None:
    bell = make_bell()
    live: dict[int, int] = {}  # supervisor's pid: a copy of its control socket
    poll = select.poll()
    poll.register(bell, select.POLLIN)
    poll.register(requests, select.POLLIN)
    is_open = True
    while is_open or live:
        ready = {file for file, _ in poll.poll()}
        if bell in ready:
            drain(bell)
            _reap_supervisors(live, groups)
        if requests.fileno() in ready and not _fork_supervisor(requests, live, bell, groups, reaper=reaper):
            poll.unregister(requests)
            is_open = False


def _reap_supervisors(live: dict[int, int], groups: _Groups) -> None:
    """Close the copy of the control socket last: end of file tells the controller that no process is left."""
    while (ended := reap()) is not None:
        pid, code = ended
        control = live.pop(pid, None)
        if control is None:
            continue
        if code != 0:
            _sweep(frozenset(live))
        groups.give_back(pid)
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


def _fork_supervisor(
    requests: socket.socket, live: dict[int, int], bell: int, groups: _Groups, *, reaper: bool
) -> bool:
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
    group = groups.take() if message == b"l" else None
    pid = _fork(control)
    if pid == 0:
        code = 1
        try:
            for file in (requests.fileno(), bell, *live.values()):
                os.close(file)
            supervise(socket.socket(fileno=control), stdin, output, group, reaper=reaper)
            code = 0
        finally:
            os._exit(code)
    if pid > 0:
        live[pid] = control
        groups.lend(group, pid)
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


if __name__ == "__main__":
    main()
