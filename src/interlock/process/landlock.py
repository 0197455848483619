"""Landlock: rules of Linux by which a process gives up rights, for itself and all that it starts. No right comes back.

Rule: only the standard library, as for the supervisor; a call that fails raises OSError, and nothing is in force then.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress

# The three system calls have the same numbers on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_BENEATH, _PORT = 1, 2
_PR_SET_NO_NEW_PRIVS = 38

# What can be allowed below a path (the file itself, or a folder). All of it is refused where no rule allows it.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = (1 << bit for bit in range(13, 16))
EVERY_ACCESS = (1 << 16) - 1
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
BIND_TCP, CONNECT_TCP = 1, 2
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2
ABI_OF_SCOPES = 6  # Linux 6.12


def abi() -> int:
    """The version of Landlock that this kernel has in force; 0 if there is none, or another filter forbids it."""
    with suppress(OSError):
        if sys.platform == "linux":
            return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    return 0


def restrict(
    paths: Iterable[tuple[bytes, int]] | None, ports: Iterable[tuple[int, int]] | None = None, scopes: int = 0
) -> None:
    """Restrict this thread. `paths`: what is allowed below each; None restricts no file. `ports`: what is allowed of
    TCP at each; None restricts no TCP. `scopes`: signals and sockets that reach no process outside. A path that is not
    there allows nothing."""
    attributes = struct.pack("=QQQ", 0 if paths is None else EVERY_ACCESS, 0 if ports is None else 3, scopes)
    rules = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for path, access in paths or ():
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow_beneath(rules, path, access)
        for port, access in ports or ():
            _call(_ADD_RULE, rules, ctypes.c_int(_PORT), struct.pack("=QQ", access, port), ctypes.c_uint32(0))
        forbid_new_rights()
        _call(_RESTRICT_SELF, rules, ctypes.c_uint32(0))
    finally:
        os.close(rules)


def forbid_new_rights() -> None:
    """No program that this process starts gets rights by its file (setuid, capabilities)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")


def _allow_beneath(rules: int, path: bytes, access: int) -> None:
    file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            access &= _OF_FILES
        _call(_ADD_RULE, rules, ctypes.c_int(_BENEATH), struct.pack("=Qi", access, file), ctypes.c_uint32(0))
    finally:
        os.close(file)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    answer = int(libc.syscall(ctypes.c_long(number), *arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    return answer
