"""A fence: how one program is confined where no room can be made, by what the kernel refuses it (Landlock, and a filter
of system calls). It sees paths as they lie.

Rule: what is not named is refused. What Landlock does not look at (sockets with a path, UDP, other protocols) the
filter refuses as a whole.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import interlock
from interlock.process import Fence, Gateway, Supervised, behind
from interlock.sandbox.limits import limits_of
from interlock.sandbox.network import proxy_for, variables
from interlock.sandbox.reads import ETC, ETC_OF_NETWORK, SYSTEM, named_paths, programs_of
from interlock.sandbox.seccomp import fence_filter
from interlock.text.hosts import host_of, is_loopback

if TYPE_CHECKING:
    from interlock.sandbox.room import Room

_PACKAGES = Path(interlock.__file__).parent.parent
_ETC = ("passwd", "group", "hosts")  # a room has its own ones
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
NO_SYSTEM_FILES = {"GIT_CONFIG_NOSYSTEM": "1"}  # git does not start if that file is there and cannot be read


def fenced(work: Supervised, room: Room) -> Supervised:
    """`work` behind a fence. Raises InfrastructureError."""
    hosts = () if room.is_open else room.hosts
    ports = tuple(host.port for host in map(host_of, hosts) if host.port and is_loopback(host.name))
    around = Fence(
        (
            room.checkout.root,
            _PACKAGES,
        ),  # runners of tests list the folders above what they are given; Python, to import
        _reads(work, room),
        (room.checkout.tree, room.checkout.home, room.checkout.tmp, *room.writes),
        tuple(map(Path, (*_DEVICES, *(_terminals() if room.terminal else ())))),
        None if room.is_open else ports,
        fence_filter(all_sockets=room.is_open, nested=room.checkout.sandbox.nested, apart=room.is_apart),
    )
    work = replace(work, env={**work.env, **NO_SYSTEM_FILES})
    if room.terminal:
        return replace(work, argv=behind(around.wire, work.argv))
    limits = limits_of(room.checkout, room.writes, taken=room.taken)
    return replace(work, fence=around, gateway=_gateway(hosts) if hosts else None, limits=limits)


def _reads(work: Supervised, room: Room) -> tuple[Path, ...]:
    etc = (*ETC, *_ETC, *(ETC_OF_NETWORK if room.is_open else ()))
    programs = programs_of(work.env.get("PATH", os.defpath), room.checkout.root).paths
    named = named_paths(room.checkout.sandbox.read)
    return (*map(Path, SYSTEM), *(Path("/etc", name) for name in etc), Path("/proc"), *programs, *named, *room.reads)


def _terminals() -> tuple[str, ...]:
    return ("/dev/tty", *(os.ttyname(file) for file in range(3) if os.isatty(file)))


def _gateway(hosts: tuple[str, ...]) -> Gateway:
    """The proxy, for this program alone: any process of the machine could connect to it, so it asks for a password."""
    password = secrets.token_urlsafe(24)
    return Gateway(proxy_for(hosts, password), partial(_told, password))


def _told(password: str, port: int) -> Mapping[str, str]:
    return variables(port, password)
