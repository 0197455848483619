"""The environment of a program: a small base, and the variables that are allowed.

Rule: programs are searched only in absolute folders. Any other entry of PATH (`.`, `node_modules/.bin`, an empty one)
is a folder of the checkout, and its files belong to the candidate.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

_BASE = frozenset({"PATH", "LANG", "LANGUAGE", "TZ"})


def scrubbed(environ: Mapping[str, str], allow: Iterable[str] = ()) -> dict[str, str]:
    """PATH, the locale, the time zone, and variables in `allow` that are set. Never one of our GIT_* variables.

    HOME and TMPDIR are not in it: the caller gives each program its own. TERM is not in it: no supervised program has a
    terminal, and without TERM programs do not print colours or redraw lines.
    """
    allowed = frozenset(allow)
    seen = {
        name: value
        for name, value in environ.items()
        if (name in _BASE or name.startswith("LC_") or name in allowed) and not name.startswith("GIT_")
    }
    if "PATH" in seen:
        folders = [entry for entry in seen["PATH"].split(os.pathsep) if entry.startswith("/")]
        seen["PATH"] = os.pathsep.join(folders) or os.defpath  # an empty PATH means the current folder
    return seen


def relative_path_entries(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The entries of PATH in which programs are not searched."""
    entries = environ["PATH"].split(os.pathsep) if "PATH" in environ else []
    return tuple(dict.fromkeys(entry for entry in entries if not entry.startswith("/")))
