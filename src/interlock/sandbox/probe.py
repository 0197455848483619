"""Whether rooms can be made on this machine: one is made, and what a program sees in it is looked at.

Rule: nothing is taken from the name or the version of a system. Only why a room could not be made is guessed from it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from interlock.ports import Checkout, InfrastructureError, Sandbox, UsageError
from interlock.process import How, Supervised, holds_scopes, landlock_abi, scrubbed, supervise
from interlock.sandbox.fence_probe import look_behind_fence
from interlock.sandbox.owner import owner_here, owner_in
from interlock.sandbox.program import find_bwrap
from interlock.sandbox.room import Room, confine

LEVELS = ("full", "fs", "none")
FS_WORDS = (
    "agents and gates write only in their checkout, and read of your home only the programs on your PATH; but they see"
    " your processes and have your user's id"
)
_TIMEOUT_S = 20.0
_OWNS_NOTHING = {"what is root's is not its own": "! test -O /usr"}
# What must hold in a room, and a shell command that succeeds if it does.
_HOLDS = {
    "processes outside are not seen": "test -r /proc/1/cmdline && ! test -e /proc/{pid}/exe",
    "files outside are not seen": "! test -e {outside} && ! test -e /etc/shadow",
    "the system is read-only": "! (: > /usr/interlock-probe) 2>/dev/null",
    "settings of the kernel cannot be written": "! test -w /proc/sys/kernel/core_pattern",
    "its tree can be written": "(: > written) 2>/dev/null",
    "there is no network": "! grep -v -e lo: -e '|' /proc/net/dev > /dev/null",
    "it cannot make namespaces": "! unshare -Ur true 2>/dev/null",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """What was seen. `level` is the best level that holds; `missing` says what is missing and what to do, empty for
    `full`. `took_ms` is the time from the start of a room to its end."""

    level: str
    program: str = ""
    missing: str = ""
    took_ms: float = 0.0
    open: str = ""  # what a program with an open network reaches of this machine
    id: str = ""  # where we are root: whose id programs have on this machine


def probe(environ: Mapping[str, str] | None = None) -> Probe:
    """Make a room and look. The answer of the first time is kept as long as this process runs."""
    environ = os.environ if environ is None else environ
    return _probe(environ.get("PATH", os.defpath))


def best_level(environ: Mapping[str, str]) -> str:
    """The best level that holds here."""
    return probe(environ).level


def probe_fence(environ: Mapping[str, str] | None = None) -> Probe:
    """As `probe`, for the level `fs`."""
    environ = os.environ if environ is None else environ
    missing, took_ms = look_behind_fence(environ.get("PATH", os.defpath))
    return Probe("none" if missing else "fs", f"Landlock {landlock_abi()}", missing, took_ms)


def missing(level: str, environ: Mapping[str, str]) -> str:
    """Why the level does not hold here, with what to do; empty if it holds."""
    if level == "none":
        return ""
    return (probe_fence(environ) if level == "fs" else probe(environ)).missing


def require(level: str, environ: Mapping[str, str]) -> None:
    """Raises UsageError if the level does not hold here, with what to do."""
    if why := missing(level, environ):
        raise UsageError(f"sandbox {level} is not in force on this machine: {why}. {instead(level, environ)}")


def instead(level: str, environ: Mapping[str, str]) -> str:
    """The levels that hold where this one does not, with what each of them is worth."""
    lower = (
        f"With `--sandbox fs`, which holds here, {FS_WORDS}. " if level == "full" and not missing("fs", environ) else ""
    )
    return f"{lower}With `--sandbox none` agents and gates have your user's rights"


@cache
def _probe(path: str) -> Probe:
    if sys.platform != "linux":
        return Probe("none", missing=f"there is no sandbox for {sys.platform} yet")
    bwrap = find_bwrap({"PATH": path})
    if not bwrap.path:
        return Probe("none", missing=bwrap.why)
    named = f"{bwrap.path} {bwrap.version}"
    with TemporaryDirectory(prefix="interlock-probe-") as folder:
        try:
            failed, took_ms = _look(Path(folder), path)
        except InfrastructureError as error:
            return Probe("none", named, f"{error}{_advice(str(error))}")
    if failed:
        return Probe("none", named, f"a sandbox was made, but in it this does not hold: {'; '.join(failed)}", took_ms)
    reached = "its ports" if holds_scopes() else "its ports and abstract sockets"
    return Probe("full", named, took_ms=took_ms, open=reached, id=_id())


def _id() -> str:
    owner, why = owner_here()
    if owner:
        return f"as root, its programs have the id {owner}, which owns nothing"
    return f"its programs have root's id, without its rights: {why}" if why else ""


def _look(folder: Path, path: str) -> tuple[list[str], float]:
    """What does not hold, and the time that it took."""
    checkout = Checkout(folder, folder / "tree", folder / "home", folder / "tmp", sandbox=Sandbox("full"))
    for one in (checkout.tree, checkout.home, checkout.tmp):
        one.mkdir()
    env = {**scrubbed({"PATH": path}), "HOME": checkout.seen(checkout.home)}
    words = {"pid": os.getpid(), "outside": folder / "tree"}
    holds = {**_HOLDS, **(_OWNS_NOTHING if owner_in(folder) else {})}
    script = "\n".join(f"if {test.format(**words)}; then echo yes; else echo no; fi" for test in holds.values())
    work = Supervised(("/bin/sh", "-c", script), checkout.tree, env, folder / "log", _TIMEOUT_S)
    began = time.perf_counter()
    done = supervise(confine(work, Room(checkout)), threading.Event())
    took_ms = 1000 * (time.perf_counter() - began)
    said = done.tail.decode("utf-8", "replace").split()
    if done.how is not How.EXITED or done.code != 0 or len(said) != len(holds):
        raise InfrastructureError(f"a program in a room ended with {done.how} {done.code}: {' '.join(said)[:300]}")
    return [name for name, answer in zip(holds, said, strict=True) if answer != "yes"], took_ms


def _advice(error: str) -> str:
    """What to switch on, by what forbids it."""
    return "".join(f". {line}" for line in _reasons(error))


def _reasons(error: str) -> Iterator[str]:
    contained = any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv"))
    if contained:
        yield (
            "This is a container: start it with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined"
            " --security-opt systempaths=unconfined` (podman: `unmask=ALL` in place of `systempaths=unconfined`)"
        )
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        if contained:
            yield "On its host: `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
        else:
            yield (
                "AppArmor forbids user namespaces (Ubuntu 24.04): allow them to bwrap with a profile in"
                " /etc/apparmor.d/bwrap (docs/security.md has it), then `sudo systemctl reload apparmor`"
            )
    elif _setting("kernel/unprivileged_userns_clone") == "0":
        yield "User namespaces are switched off: `sudo sysctl kernel.unprivileged_userns_clone=1`"
    elif _setting("user/max_user_namespaces") == "0":
        yield "User namespaces are switched off: `sudo sysctl user.max_user_namespaces=10000`"
    elif not contained and ("perm" in error.lower() or "not permitted" in error):
        yield "Namespaces are forbidden here: is this a container, or does a seccomp filter forbid them?"


def _setting(name: str) -> str:
    try:
        return Path(f"/proc/sys/{name}").read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return ""
