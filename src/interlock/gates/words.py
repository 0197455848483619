"""Lists, quotations and paths in a brief. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

_TICKS = re.compile(r"`{3,}")


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def listed(lines: Iterable[str], room: int, more: str) -> str:
    """As many lines as `room` characters hold, one at least, and how many `more` there are."""
    every = list(lines)
    kept, used = 0, 0
    while kept < len(every) and (kept == 0 or used + len(every[kept]) + 3 <= room):
        used += len(every[kept]) + 3
        kept += 1
    rest = [f"and {len(every) - kept} more {more}"] if kept < len(every) else []
    return bullets([*every[:kept], *rest])


def cut(text: str, limit: int) -> str:
    """In one line, at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 4].rstrip()} ..."


def fenced(text: str, language: str = "") -> str:
    """A quotation that nothing in it can end."""
    ticks = max((len(run) for run in _TICKS.findall(text)), default=2) + 1
    return f"{'`' * ticks}{language}\n{text}\n{'`' * ticks}"


def path_here(folder: str, path: str) -> str:
    """A path from the root, as it is named in `folder`."""
    return posixpath.relpath(path, folder) if folder and path else path


def glob_here(folder: str, glob: str) -> str:
    """A glob from the root (or one of a name alone, which holds at any depth), as it is written in `folder`."""
    pattern, mark, table = glob.partition("#")
    if pattern.startswith("**/") or "/" not in pattern.rstrip("/"):
        return glob
    slash = "/" if pattern.endswith("/") else ""
    here = path_here(folder, pattern.strip("/"))
    name = here.removeprefix("**/") if folder else here  # one of a name alone, anywhere below the folder
    return f"{here if '/' in name else name}{slash}{mark}{table}"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
