"""What of our own environment a program may see: a small base and the names that are allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_BASE = frozenset({"PATH", "LANG", "LANGUAGE", "TZ"})


def scrubbed(environ: Mapping[str, str], allow: Iterable[str] = ()) -> dict[str, str]:
    """PATH, the locale and the time zone, and the `allow`ed names that are set. Never a GIT_* of ours.

    HOME and TMPDIR are not in it: who starts a program gives it its own. Nor is TERM: nothing
    that is supervised has a terminal, and without one programs leave out colours and redraws.
    """
    allowed = frozenset(allow)
    return {
        name: value
        for name, value in environ.items()
        if (name in _BASE or name.startswith("LC_") or name in allowed) and not name.startswith("GIT_")
    }
