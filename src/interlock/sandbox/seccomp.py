"""The filter of system calls in a room, as the kernel takes it (classic BPF).

Namespaces do not divide everything: a keyring comes along from the session, and the kernel has one log. The calls that
reach what is shared are refused, and those of which most holes in kernels were made.
"""

from __future__ import annotations

import errno
import platform
import struct

_LOAD, _EQUAL, _GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_AT_NUMBER, _AT_MACHINE = 0, 4
_X32 = 0x40000000  # numbers of another ABI of x86-64, which would be other names for the same calls

# By machine: what the kernel calls it, and the numbers of the calls.
_MACHINES = {
    "x86_64": (
        0xC000003E,
        {
            "syslog": 103, "acct": 163, "swapon": 167, "swapoff": 168, "reboot": 169, "init_module": 175,
            "delete_module": 176, "quotactl": 179, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
            "perf_event_open": 298, "open_by_handle_at": 304, "finit_module": 313, "kexec_file_load": 320, "bpf": 321,
            "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "syslog": 116, "acct": 89, "swapon": 224, "swapoff": 225, "reboot": 142, "init_module": 105,
            "delete_module": 106, "quotactl": 60, "kexec_load": 104, "add_key": 217, "request_key": 218, "keyctl": 219,
            "perf_event_open": 241, "open_by_handle_at": 265, "finit_module": 273, "kexec_file_load": 294, "bpf": 280,
            "userfaultfd": 282, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        },
    ),
}  # fmt: skip


def refusing_filter(machine: str = "") -> bytes:
    """It refuses the calls above with EPERM, and every call of another ABI. Empty for a machine that is not known."""
    if (machine or platform.machine()) not in _MACHINES:
        return b""
    known, calls = _MACHINES[machine or platform.machine()]
    numbers = sorted(calls.values())
    checks = [(_GREATER_EQUAL, len(numbers), 0, _X32)]  # where to jump, counted from the next line, if so and if not
    checks += [(_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers, 1)]
    program = [
        (_LOAD, 0, 0, _AT_MACHINE),
        (_EQUAL, 0, len(checks) + 2, known),
        (_LOAD, 0, 0, _AT_NUMBER),
        *((code, where + 1, other, value) for code, where, other, value in checks),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in program)
