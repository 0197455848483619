"""Whose a room is on this machine. As an ordinary user it is the user's. Where Interlock is root, it is that of an id
that owns nothing, so the program is no owner of what is bound in beside its checkout; where that cannot be had, it is
root's, without its rights.

Rule: what the pipeline or the user names is read as before, since it is seen as the id's own.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from interlock.ports import Checkout, InfrastructureError
from interlock.process import STATUS_FD, Confined, How, Supervised, ids, supervise
from interlock.sandbox.program import Bwrap, find_bwrap
from interlock.sandbox.reads import SYSTEM

_TIMEOUT_S = 20.0
_AS_THEY_ARE = tuple(f"{folder}/" for folder in (*SYSTEM, "/etc", "/proc", "/dev"))
_BINDS = ("--bind", "--ro-bind")


def owner_of(checkout: Checkout) -> int:
    """The id of programs in rooms over this checkout; 0 for our own."""
    if not _is_overlay(checkout):
        return owner_in(checkout.root)
    found = checkout.tree.lstat().st_uid  # whose it is was decided when it was mounted
    return found if found != os.geteuid() else 0


def owner_in(*folders: Path) -> int:
    """The same for a new checkout of which these folders are parts."""
    owner, _ = owner_here()
    return owner if owner and all(_maps(owner, folder) for folder in folders) else 0


def owner_here() -> tuple[int, str]:
    """The id on this machine, or 0 and why there is none; both are empty for an ordinary user, who needs none."""
    if sys.platform != "linux" or os.geteuid() != 0 or not (bwrap := find_bwrap(os.environ)).path:
        return 0, ""
    return _owner(bwrap, os.getpid())


def take_over(checkout: Checkout) -> None:
    """Give the owner of the checkout what we wrote into it, if it is an overlay. Raises InfrastructureError."""
    if _is_overlay(checkout) and (owner := owner_of(checkout)):
        try:
            ids.take_over(os.fsencode(checkout.changed), os.fsencode(checkout.tree), owner)
        except OSError as error:
            raise InfrastructureError(f"{checkout.tree}: {error.strerror}") from error


def with_real_sources(argv: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The command line of bubblewrap without links on the way to what it binds; and these paths, without those of the
    system, which stay as they are."""
    words, own = list(argv), []
    for at in range(argv.index("--") - 1):
        if words[at] in _BINDS and not f"{words[at + 1]}/".startswith(_AS_THEY_ARE):
            words[at + 1] = os.path.realpath(words[at + 1])
            own.append(words[at + 1])
    return tuple(words), tuple(dict.fromkeys(own))


def _is_overlay(checkout: Checkout) -> bool:
    return checkout.changed != checkout.tree


@cache
def _owner(bwrap: Bwrap, _pid: int) -> tuple[int, str]:
    """A room is made as the id."""
    owner = ids.spare()
    if not owner:
        return 0, "each id that could be used has a user"
    with TemporaryDirectory(prefix="interlock-owner-") as folder:
        why = _tried(bwrap, owner, Path(folder))
    return (0, why) if why else (owner, "")


def _tried(bwrap: Bwrap, owner: int, folder: Path) -> str:
    inside = folder / "inside"
    inside.mkdir()
    argv = (
        bwrap.path, "--ro-bind", "/", "/", "--bind", str(inside), "/tmp", "--proc", "/proc", "--dev", "/dev",
        "--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-pid", "--disable-userns", "--cap-drop", "ALL",
        "--json-status-fd", str(STATUS_FD), "--", "/bin/sh", "-c", ": > /tmp/made && ! test -O /",
    )  # fmt: skip
    confined = Confined("/bin/sh", maker=bwrap.path, owner=owner, own=(os.path.realpath(inside),), needs=bwrap.needs)
    work = Supervised(argv, folder, {"PATH": os.defpath}, folder / "log", _TIMEOUT_S, confined=confined)
    try:
        done = supervise(work, threading.Event())
    except InfrastructureError as error:
        return str(error).removeprefix("/bin/sh: ")
    said = done.tail.decode("utf-8", "replace").strip()[:300]
    if done.how is not How.EXITED or done.code != 0 or not (inside / "made").exists():
        return f"a program with the id {owner} ended with {done.how} {done.code}: {said}"
    return ""


_mapped: dict[tuple[int, int], bool] = {}


def _maps(owner: int, folder: Path) -> bool:
    """Whether the file system of the folder can show what is root's as the owner's."""
    key = (os.getpid(), folder.stat().st_dev)
    if key not in _mapped:
        _mapped[key] = False
        with suppress(OSError):
            os.close(ids.shown_as(os.fsencode(folder), ids.map_to(owner), deep=False))
            _mapped[key] = True
    return _mapped[key]
