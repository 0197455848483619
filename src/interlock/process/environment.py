"""The environment of a program: what it may see of ours, and what it gets of its checkout.

Rule: programs are searched for in absolute folders alone. Any other entry of PATH (`.`, `node_modules/.bin`, an empty
one) is a folder of the checkout, and what is in it belongs to the candidate.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from interlock.ports import Checkout

_BASE = frozenset({"PATH", "LANG", "LANGUAGE", "TZ"})


def scrubbed(environ: Mapping[str, str], allow: Iterable[str] = ()) -> dict[str, str]:
    """PATH, the locale, the time zone, and the `allow`ed names that are set. Never a GIT_* of ours.

    HOME and TMPDIR are not in it: whoever starts a program gives it its own. TERM is not in it either: no supervised
    program has a terminal, and without one programs write no colours and redraws.
    """
    allowed = frozenset(allow)
    seen = {
        name: value
        for name, value in environ.items()
        if (name in _BASE or name.startswith("LC_") or name in allowed) and not name.startswith("GIT_")
    }
    if "PATH" in seen:
        folders = [entry for entry in seen["PATH"].split(os.pathsep) if entry.startswith("/")]
        seen["PATH"] = os.pathsep.join(folders) or os.defpath  # an empty one is the current folder
    return seen


def checkout_environment(
    environ: Mapping[str, str], checkout: Checkout, allow: Iterable[str] = (), more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The complete environment of a program in a checkout: the base and the `allow`ed names of `environ`, what setup
    added, `more`, and the checkout's own HOME and TMPDIR. Later parts override earlier ones."""
    own = {"HOME": str(checkout.home), "TMPDIR": str(checkout.tmp)}
    return {**scrubbed(environ, allow), **dict(checkout.env), **(more or {}), **own}


def own_environment(environ: Mapping[str, str], without: Iterable[str] = ()) -> dict[str, str]:
    """All of the user's environment for a program of their own, but the names in `without` and GIT_*."""
    hidden = frozenset(without)
    return {name: value for name, value in environ.items() if name not in hidden and not name.startswith("GIT_")}


def relative_path_entries(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The entries of PATH in which no program is searched for."""
    entries = environ["PATH"].split(os.pathsep) if "PATH" in environ else []
    return tuple(dict.fromkeys(entry for entry in entries if not entry.startswith("/")))
