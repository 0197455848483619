"""What of our own environment a program may see: a small base and the names that are allowed.

Rule: programs are looked for in absolute folders alone. Any other entry of PATH (`.`, `node_modules/.bin`, an empty
one) is one of the checkout, and what lies there is the candidate's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

_BASE = frozenset({"PATH", "LANG", "LANGUAGE", "TZ"})


def scrubbed(environ: Mapping[str, str], allow: Iterable[str] = ()) -> dict[str, str]:
    """PATH, the locale and the time zone, and the `allow`ed names that are set. Never a GIT_* of ours.

    HOME and TMPDIR are not in it: who starts a program gives it its own. Nor is TERM: nothing
    that is supervised has a terminal, and without one programs leave out colours and redraws.
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


def own_environment(environ: Mapping[str, str], without: Iterable[str] = ()) -> dict[str, str]:
    """All of the user's environment for a program of their own, but the names in `without` and GIT_*."""
    hidden = frozenset(without)
    return {name: value for name, value in environ.items() if name not in hidden and not name.startswith("GIT_")}


def relative(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The entries of PATH that no program is looked for in."""
    entries = environ["PATH"].split(os.pathsep) if "PATH" in environ else []
    return tuple(dict.fromkeys(entry for entry in entries if not entry.startswith("/")))
