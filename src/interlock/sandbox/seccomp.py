"""The filters of system calls, as the kernel takes them (classic BPF).

Namespaces do not divide everything: a keyring comes along from the session, and the kernel has one log. The calls that
reach what is shared are refused, and those of which most holes in kernels were made. A fence has no namespaces, and
rules of Landlock do not hold for every call: what gets around them is refused too.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterable, Sequence

_LOAD, _EQUAL, _GREATER_EQUAL, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _REFUSE, _NOT_THERE = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_AT_NUMBER, _AT_MACHINE, _AT_ARGUMENTS = 0, 4, 16
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
            "pidfd_getfd": 438,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "syslog": 116, "acct": 89, "swapon": 224, "swapoff": 225, "reboot": 142, "init_module": 105,
            "delete_module": 106, "quotactl": 60, "kexec_load": 104, "add_key": 217, "request_key": 218, "keyctl": 219,
            "perf_event_open": 241, "open_by_handle_at": 265, "finit_module": 273, "kexec_file_load": 294, "bpf": 280,
            "userfaultfd": 282, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
            "pidfd_getfd": 438,
        },
    ),
}  # fmt: skip
# What is shared between processes of a user, and what looks at the arguments of a call: for fences.
_IN_FENCES = {
    "x86_64": {
        "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66, "semtimedop": 220,
        "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "mq_open": 240, "mq_unlink": 241,
    },
    "aarch64": {
        "shmget": 194, "shmat": 196, "shmctl": 195, "semget": 190, "semop": 193, "semctl": 191, "semtimedop": 192,
        "msgget": 186, "msgsnd": 189, "msgrcv": 188, "msgctl": 187, "mq_open": 180, "mq_unlink": 181,
    },
}  # fmt: skip
_LOOKED_AT = {
    "x86_64": {
        "socket": 41, "socketpair": 53, "listen": 50, "setsockopt": 54, "sendto": 44, "sendmsg": 46, "sendmmsg": 307,
        "clone": 56, "clone3": 435,
        "unshare": 272, "prlimit64": 302, "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452,
        "open": 2, "creat": 85, "openat": 257, "openat2": 437, "mknod": 133, "mknodat": 259,
    },
    "aarch64": {
        "socket": 198, "socketpair": 199, "listen": 201, "setsockopt": 208, "sendto": 206, "sendmsg": 211,
        "sendmmsg": 269, "clone": 220, "clone3": 435,
        "unshare": 97, "prlimit64": 261, "fchmod": 52, "fchmodat": 53, "fchmodat2": 452,
        "openat": 56, "openat2": 437, "mknodat": 33,
    },
}  # fmt: skip
_TRACES = {"x86_64": ((101, 1), (311, 0)), "aarch64": ((117, 1), (271, 0))}  # ptrace, process_vm_writev: who
_IOCTL = {"x86_64": 16, "aarch64": 29}
_TYPES = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: a line for whoever reads the terminal next
_ATTACH, _SEIZE = 16, 0x4206
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _SEQPACKET, _TYPE = 1, 5, 0xF
_TCP, _CONVERT = 6, 31
_FAST_OPEN, _NEW_USER, _SET_ID = 0x20000000, 0x10000000, 0o6000
_MAKES = 0x400040  # O_CREAT or O_TMPFILE

# A line is what the processor of filters does: code, where to jump if so and if not, and a value.
_Line = tuple[int, int, int, int]


def refusing_filter(machine: str = "", *, apart: bool = False) -> bytes:
    """It refuses the calls above with EPERM, and every call of another ABI; also to type into a terminal, since a
    person's shell in a room shares that of the user. It keeps the first process of a room, which says how the program
    ended, from being traced; `apart` every one. Empty for a machine that is not known."""
    machine = machine or platform.machine()
    if machine not in _MACHINES:
        return b""
    return _filter(machine, _MACHINES[machine][1].values(), [*_tracing(machine, apart=apart), _typing(machine)])


def _typing(machine: str) -> tuple[int, Sequence[_Line]]:
    looks = [(_EQUAL, len(_TYPES) - at, 0, call) for at, call in enumerate(_TYPES)]
    return _IOCTL[machine], [(_LOAD, 0, 0, _argument(1)), *looks, _allow(), _refuse()]


def _tracing(machine: str, *, apart: bool) -> list[tuple[int, Sequence[_Line]]]:
    (trace, traced), (write, written) = _TRACES[machine]
    if not apart:
        return [(trace, _refuse_first(traced)), (write, _refuse_first(written))]
    what = [(_LOAD, 0, 0, _argument(0)), (_EQUAL, 1, 0, _ATTACH), (_EQUAL, 0, 1, _SEIZE), _refuse()]
    return [(trace, [*what, *_refuse_first(traced)]), (write, [_refuse()])]


def fence_filter(*, all_sockets: bool, nested: bool, apart: bool = False, machine: str = "") -> bytes:
    """As `refusing_filter`, and it refuses what gets around the rules of a fence: sockets with a path, which lead to
    daemons of the user, what processes of a user share, limits of other processes, setuid files, and user namespaces
    unless `nested`. Without `all_sockets` there is only TCP, which Landlock looks at."""
    machine = machine or platform.machine()
    if machine not in _MACHINES:
        return b""
    numbers = _LOOKED_AT[machine]
    wanted: dict[str, Sequence[_Line]] = {
        "socket": _sockets(all_sockets=all_sockets),
        "socketpair": _pairs(),
        "prlimit64": [(_LOAD, 0, 0, _argument(0)), (_EQUAL, 0, 1, 0), _allow(), _refuse()],
        **{name: _refuse_bits(at, _SET_ID) for name, at in _CHMOD.items()},
        **{name: _refuse_made(at) for name, at in _OPEN.items()},
        "openat2": [(_RETURN, 0, 0, _NOT_THERE)],  # its arguments are in memory: programs use openat
        **({} if all_sockets else _around_landlock()),
        **({} if nested else _NO_NAMESPACES),
    }
    looks = [(numbers[name], lines) for name, lines in wanted.items() if name in numbers]
    looks += [*(_tracing(machine, apart=True) if apart else []), _typing(machine)]
    return _filter(machine, (*_MACHINES[machine][1].values(), *_IN_FENCES[machine].values()), looks)


def _sockets(*, all_sockets: bool) -> Sequence[_Line]:
    if all_sockets:
        return [(_LOAD, 0, 0, _argument(0)), (_EQUAL, 0, 1, _UNIX), _refuse(), _allow()]
    return [
        (_LOAD, 0, 0, _argument(0)),
        (_EQUAL, 8, 0, _NETLINK),  # it lists addresses of the machine, and without rights changes nothing
        (_EQUAL, 1, 0, _INET),
        (_EQUAL, 0, 7, _INET6),
        (_LOAD, 0, 0, _argument(1)),
        (_AND, 0, 0, _TYPE),
        (_EQUAL, 0, 4, _STREAM),
        (_LOAD, 0, 0, _argument(2)),  # other protocols of streams, such as MPTCP, are not looked at by Landlock
        (_EQUAL, 1, 0, 0),
        (_EQUAL, 0, 1, _TCP),
        _allow(),
        _refuse(),
    ]


def _pairs() -> Sequence[_Line]:
    """One of a pair of datagram sockets could send to any path."""
    return [
        (_LOAD, 0, 0, _argument(0)),
        (_EQUAL, 0, 5, _UNIX),
        (_LOAD, 0, 0, _argument(1)),
        (_AND, 0, 0, _TYPE),
        (_EQUAL, 1, 0, _STREAM),
        (_EQUAL, 0, 1, _SEQPACKET),
        _allow(),
        _refuse(),
    ]


def _around_landlock() -> dict[str, Sequence[_Line]]:
    """Calls by which TCP goes on without a look of Landlock: the first data makes a connection (TCP Fast Open), a
    socket that was never bound listens, and one of TCP becomes one of another protocol (TCP_ULP)."""
    convert = [
        (_LOAD, 0, 0, _argument(1)),
        (_EQUAL, 0, 3, _TCP),
        (_LOAD, 0, 0, _argument(2)),
        (_EQUAL, 0, 1, _CONVERT),
        _refuse(),
        _allow(),
    ]
    sends = {name: _refuse_bits(at, _FAST_OPEN) for name, at in _SENDS.items()}
    return {**sends, "listen": [_refuse()], "setsockopt": convert}


def _refuse_bits(argument: int, bits: int) -> Sequence[_Line]:
    return [(_LOAD, 0, 0, _argument(argument)), (_ANY_BIT, 0, 1, bits), _refuse(), _allow()]


def _refuse_first(process: int) -> Sequence[_Line]:
    return [(_LOAD, 0, 0, _argument(process)), (_EQUAL, 0, 1, 1), _refuse(), _allow()]


def _refuse_made(flags: int) -> Sequence[_Line]:
    """A file that is made with such a mode. Where none is made, the mode may be anything."""
    return [(_LOAD, 0, 0, _argument(flags)), (_ANY_BIT, 0, 3, _MAKES), *_refuse_bits(flags + 1, _SET_ID)]


def _argument(number: int) -> int:
    """Where the lower half of an argument is; these machines are all little-endian."""
    return _AT_ARGUMENTS + 8 * number


def _allow() -> _Line:
    return (_RETURN, 0, 0, _ALLOW)


def _refuse() -> _Line:
    return (_RETURN, 0, 0, _REFUSE)


# Which argument holds the bits.
_CHMOD = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "creat": 1, "mknod": 1, "mknodat": 2}
_OPEN = {"open": 1, "openat": 2}  # the flags; the mode comes next
_SENDS = {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}
# The arguments of clone3 are in memory, out of a filter's reach: without it, programs use clone.
_NO_NAMESPACES: dict[str, Sequence[_Line]] = {
    "clone": _refuse_bits(0, _NEW_USER),
    "unshare": _refuse_bits(0, _NEW_USER),
    "clone3": [(_RETURN, 0, 0, _NOT_THERE)],
}


def _filter(machine: str, refused: Iterable[int], looks: Iterable[tuple[int, Sequence[_Line]]]) -> bytes:
    program: list[_Line] = [
        (_LOAD, 0, 0, _AT_MACHINE),
        (_EQUAL, 1, 0, _MACHINES[machine][0]),
        _refuse(),
        (_LOAD, 0, 0, _AT_NUMBER),
        (_GREATER_EQUAL, 0, 1, _X32),
        _refuse(),
    ]
    for number, lines in [*((number, [_refuse()]) for number in sorted(refused)), *looks]:
        program += [(_EQUAL, 0, len(lines), number), *lines]
    program.append(_allow())
    return b"".join(struct.pack("=HBBI", *line) for line in program)
