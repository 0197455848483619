"""A fence: what a process gives up before it becomes a program, where no room can be made: rights to files and to TCP
(Landlock), all rights of root, and system calls that get around these.

Rule: only the standard library, as for the supervisor. If one step fails, OSError is raised, and no program starts.
"""

# pathlib alone would double the start time of the supervisor.
# ruff: noqa: PTH120
from __future__ import annotations

import ctypes
import errno
import marshal
import os
import sys
from collections.abc import Sequence

from interlock.process import landlock

# Paths and what is allowed below each, ports of TCP that may be connected to (None: all), and a filter of system calls.
Wire = tuple[tuple[tuple[bytes, int], ...], tuple[int, ...] | None, bytes]

MAY_LIST = landlock.READ_DIR
MAY_READ = landlock.EXECUTE | landlock.READ_FILE | landlock.READ_DIR
MAY_WRITE = landlock.EVERY_ACCESS & ~(landlock.MAKE_CHAR | landlock.MAKE_BLOCK | landlock.IOCTL_DEV)
MAY_USE = landlock.READ_FILE | landlock.WRITE_FILE | landlock.IOCTL_DEV  # a device
_PR_SET_SECCOMP, _FILTER_MODE = 22, 2
_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _CLEAR_ALL = 24, 47, 4
_CAPABILITY_VERSION = 0x20080522
_CAPABILITIES_MAX = 64
_FOLDER = os.path.dirname(__file__)
# As the fork server: the packages without their __init__.
_LAUNCH = """
import sys, types
for name, folder in (("interlock", sys.argv[1]), ("interlock.process", sys.argv[2])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from interlock.process.fence import main
main()
"""


def enforce(wanted: Wire) -> None:
    """Put the fence around this process and all that it starts."""
    paths, ports, calls = wanted
    if not calls:
        raise OSError(errno.ENOSYS, "no filter of system calls for this machine")
    allowed = None if ports is None else [(port, landlock.CONNECT_TCP) for port in ports]
    landlock.restrict(paths, allowed, landlock.SCOPE_ABSTRACT_SOCKETS | landlock.SCOPE_SIGNALS)
    _drop_capabilities()
    _refuse_calls(calls)


def behind(wanted: Wire, argv: Sequence[str]) -> tuple[str, ...]:
    """Words that do the same without a supervisor: for a program at a terminal."""
    return (
        sys.executable,
        "-I",
        "-S",
        "-c",
        _LAUNCH,
        os.path.dirname(_FOLDER),
        _FOLDER,
        marshal.dumps(wanted).hex(),
        *argv,
    )


def main() -> None:
    """Put a fence around us and become the program: `behind` makes the words."""
    enforce(marshal.loads(bytes.fromhex(sys.argv[3])))
    try:
        os.execvp(sys.argv[4], sys.argv[4:])
    except OSError as error:
        sys.exit(f"{sys.argv[4]}: {error.strerror}")


def _drop_capabilities() -> None:
    """Also those that root would get back with a new program. Some of them read the memory of any process."""
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(_CAPABILITIES_MAX):
        if libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            break  # there are no more, or they are not ours: then no_new_privs alone keeps them away
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    if libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0) != 0 or libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capabilities")


class _Program(ctypes.Structure):
    _fields_ = (("size", ctypes.c_ushort), ("lines", ctypes.c_char_p))


def _refuse_calls(calls: bytes) -> None:
    landlock.forbid_new_rights()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(_Program(len(calls) // 8, calls)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
