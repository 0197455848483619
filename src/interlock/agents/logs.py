"""What a program printed or keeps for itself, read: JSON lines, their fields, and the end of a log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

Event = Mapping[str, object]
_TAIL_BYTES = 100_000


def events(log: Path) -> Iterator[Event]:
    """Each line of the log that is a JSON object. Others, and what was cut, are passed over."""
    try:
        with log.open("rb") as file:
            for line in file:
                if line.lstrip().startswith(b"{"):
                    yield from _event(line)
    except OSError:
        return


def late_events(log: Path) -> Iterator[Event]:
    """Those at the end of the log."""
    for line in tail(log).encode("utf-8", "replace").splitlines():
        if line.startswith(b"{"):
            yield from _event(line)


def tail(path: Path) -> str:
    """The end of a log that the program keeps for itself, empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def inner(event: Event, *names: str) -> Event:
    """The object below `names`, empty where there is none."""
    for name in names:
        value = event.get(name)
        event = cast(Event, value) if isinstance(value, dict) else {}
    return event


def text(event: Event, name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def count(event: Event, *names: str) -> int | None:
    """The sum of the numbers that are there, None where none is."""
    found = [v for v in map(event.get, names) if isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 10**15]
    return sum(found) if found else None


def _event(line: bytes) -> Iterator[Event]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield cast(Event, value)
