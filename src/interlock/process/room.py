"""What the supervisor does for a program that makes a room (bubblewrap): the descriptors that it passes, what it
reads of them, and sockets that listen in the network of the room.

Rule: only the standard library, as for the supervisor.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import socket
import stat
from contextlib import suppress

from interlock.process import ids, landlock

# A filter of system calls, the ports to listen at, whether it is scoped, words for ARGUMENTS_FD, files to copy, and
# whose it is if not this process's own.
Wanted = tuple[bytes, tuple[int, ...], bool, bytes, tuple[bytes, ...], ids.Wire | None]

# It writes how the program in the room ended, reads a filter of system calls, and waits until somebody listens.
STATUS_FD, FILTER_FD, BLOCK_FD, ARGUMENTS_FD = 3, 4, 5, 6
FIRST_FILE_FD, FILES_MAX = 10, 80  # what makes the room copies these into it, and closes them
# Signals that end a program by a mistake of it, or by the machine. Others are also used as exit codes above 128.
# bubblewrap tells a signal and such a code alike. So a program that exits with one of these codes counts as ended by a
# signal: what it reported is not believed, which is the safe mistake.
_FATAL = (
    signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV,
    signal.SIGPIPE, signal.SIGTERM, signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS,
)  # fmt: skip
_NS_GET_USERNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0xB701, 0x10000000, 0x40000000


def above(file: int) -> int:
    """A copy with a higher number than any that the program inherits."""
    return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, FIRST_FILE_FD + FILES_MAX)


def pass_on(wanted: Wanted, status: int, block: int) -> None:
    """Make the descriptors inheritable, and no more than are used: what is left open would be open in the room."""
    os.dup2(status, STATUS_FD)
    if wanted[0]:
        os.dup2(above(_holding(wanted[0])), FILTER_FD)
    if wanted[1]:
        os.dup2(block, BLOCK_FD)
    if wanted[3]:
        os.dup2(above(_file_holding(wanted[3])), ARGUMENTS_FD)
    for number, path in enumerate(wanted[4], FIRST_FILE_FD):
        os.dup2(above(os.open(path, os.O_RDONLY)), number)


def change_owner(wanted: Wanted, argv: list[bytes], mapped: int, *, streams: bool) -> None:
    """Become the one whose room it is, if it is another one. `mapped` is the map of `ids.map_to`. Raises OSError."""
    if wanted[5] is not None:
        ids.become(wanted[5], wanted[3].split(b"\0") if wanted[3] else argv, mapped, streams=streams)


def holds_scopes() -> bool:
    """Whether the kernel can keep abstract sockets and processes outside out of reach (Landlock, Linux 6.12)."""
    return landlock.abi() >= landlock.ABI_OF_SCOPES


def scope(program: bytes) -> None:
    """Keep this process, and all that comes of it, from abstract sockets and processes outside, where the kernel can.
    Namespaces keep both apart too, except the sockets in an open network. It does not concern files, so mounts work."""
    mode = os.stat(program).st_mode  # noqa: PTH116 - pathlib is slow to import
    if holds_scopes() and not mode & stat.S_ISUID:  # a setuid program would have no rights
        with suppress(OSError):
            landlock.restrict(None, scopes=landlock.SCOPE_ABSTRACT_SOCKETS | landlock.SCOPE_SIGNALS)


def first_process(said: bytes) -> int:
    """The pid of the first process in the room, from what was said on STATUS_FD; 0 if no room was made."""
    words = said.replace(b",", b" ").split()
    return int(words[words.index(b'"child-pid":') + 1]) if b'"child-pid":' in words else 0


def signal_or_code(code: int) -> int:
    """-N if signal N ended the program: that comes as a code, too."""
    return 128 - code if code - 128 in _FATAL else code


def listeners(pid: int, ports: tuple[int, ...]) -> tuple[list[int], int]:
    """Sockets that listen at `ports` on loopback, in the network of process `pid`; or the number of an error. Neither
    if the room is gone already. Raises OSError if the machine has no room for one more process."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = os.fork()
        if child == 0:
            _listen_in(pid, ports, theirs)
        theirs.close()
        message, files, _, _ = socket.recv_fds(ours, 100, len(ports))
    with suppress(ChildProcessError):
        os.waitpid(child, 0)
    number = int(message or b"%d" % errno.EIO)
    return files, 0 if number in (errno.ENOENT, errno.ESRCH) else number


def _listen_in(pid: int, ports: tuple[int, ...], answer: socket.socket) -> None:
    """In a process of its own: go into the network of the room, and send sockets that listen there. Does not return."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        owner = fcntl.ioctl(network, _NS_GET_USERNS)
        for namespace, kind in ((owner, _CLONE_NEWUSER), (network, _CLONE_NEWNET)):
            if libc.setns(namespace, kind) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        made = []
        for port in ports:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(64)
            made.append(listener)
        socket.send_fds(answer, [b"0"], [listener.fileno() for listener in made])
    except OSError as error:
        answer.send(b"%d" % (error.errno or 0))
    finally:
        os._exit(0)


def _file_holding(content: bytes) -> int:
    """The same, of any size."""
    file = os.memfd_create("arguments")
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _holding(content: bytes) -> int:
    """A descriptor from which `content` can be read, which must be small."""
    reads, writes = os.pipe()
    os.write(writes, content)
    os.close(writes)
    return reads
